"""A traced model that runs: its taps fetched, fed and differentiated by, through plans that are compiled once."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import prod
from typing import Any, cast

import numpy as np
import tensorflow as tf
from cachetools import LRUCache

from layerscope.errors import ChannelNotFound, InputMismatch, NotDifferentiable
from layerscope.graph.handover import Prepared
from layerscope.graph.liveness import Liveness
from layerscope.graph.plans import EVERY_UNIT, Plan, PlanCache, PlanKey, compile_plan
from layerscope.graph.shapes import TapShapes
from layerscope.graph.subgraph import GraphParts
from layerscope.graph.taps import Input, Shape, Tap
from layerscope.graph.weights import Weights, release

Array = np.ndarray[Any, np.dtype[Any]]

_SIZES_KEPT = 64
_LITTLE_MORE_WORK = 1.05


class Executable:
    """Fetches, feeds and differentiates by the taps of one traced model. Safe to use from many threads.

    A *plan* is compiled at the first run that needs it, and kept as long as those used since leave it room in
    `plan_bytes`. A run takes a plan that fetches more than it wants if that is little more work.

    The values of an image are those it has when it runs alone, to the last bit: a batch is taken apart where
    TensorFlow computes it in another way than a single image, as it does for some layers, or where the model looks at
    the whole batch. If not `exact`, it is taken apart only where that is more than rounding.

    Its weights stay where they are prepared: in the memory of `prepared`, which it keeps until it is closed.
    """

    def __init__(self, prepared: Prepared, *, plan_bytes: int, exact: bool = True) -> None:
        blueprint = prepared.blueprint
        self.inputs: tuple[Input, ...] = blueprint.inputs
        self._placeholders = blueprint.placeholders
        self._parts = GraphParts(prepared.graph)
        self._weights = Weights(prepared)
        self._plans = PlanCache(self._compile, plan_bytes)
        self._flat: set[tuple[str, str]] = set()
        self._same = _same_bits if exact else _same_but_for_rounding
        self._batches: LRUCache[tuple[Any, ...], dict[str, bool]] = LRUCache(1024)
        self._shapes = TapShapes(prepared, sizes=_SIZES_KEPT)
        self._liveness = Liveness(blueprint.calls)
        self._taps = {tap.tensor.name: tap for call in blueprint.calls for tap in call.taps}
        self._sizes = {name: tap.shape[-1] for name, tap in self._taps.items() if tap.shape}
        self._estimates: LRUCache[tuple[Any, ...], int] = LRUCache(1024)
        self._lock = threading.Lock()

    @property
    def weight_bytes(self) -> int:
        """What the weights take in memory."""
        return self._weights.nbytes

    @property
    def plan_bytes(self) -> int:
        """What the plans that are kept take in memory, about."""
        return self._plans.nbytes

    def run(
        self, inputs: Sequence[Array], taps: Sequence[Tap], feeds: Mapping[Tap, Array] | None = None
    ) -> list[Array]:
        """Run the model once.

        Args:
            inputs: one array an input of the model, each (batch, *shape), in the order of `self.inputs`.
            taps: the values to fetch.
            feeds: values to put in place of what the model would compute there, each (batch, *tap shape).

        Returns:
            One array a tap, (batch, *tap shape), in the tap's delivered dtype. Where a layer folds other axes
            into the batch axis, an image has several rows: (batch, rows, *tap shape).

        Raises:
            InputMismatch: the arrays do not fit the inputs, the fed taps or each other.
        """
        feeds = feeds or {}
        batch = _batch_of(inputs)
        _require_batched(feeds)
        values = [
            *(_fitted(each.name, each.shape, each.dtype, a, batch) for each, a in self._paired(inputs)),
            *(_fitted(tap.address, tap.shape, tap.tensor.dtype, a, batch) for tap, a in feeds.items()),
        ]
        key = self._key(taps, feeds)
        plan = self._kept(key, taps, [value.shape[1:] for value in values]) or self._plans.get(key)
        return self._fetch(plan, taps, values)

    def gradient(
        self, inputs: Sequence[Array], target: Tap, tap: Tap, unit: int | None = None
    ) -> tuple[Array, Array]:
        """Differentiate a value by another.

        Args:
            inputs: as for `run`.
            target: the value to differentiate, summed over everything but the batch axis.
            tap: what to differentiate by.
            unit: take only this index of the target's last axis.

        Returns:
            The tap's values and the gradient there, both as `run` returns the tap.

        Raises:
            NotDifferentiable: the target does not depend on the tap, or not smoothly.
            ChannelNotFound: the target has no such unit.
            InputMismatch: the arrays do not fit the inputs.
        """
        chosen = np.int32(EVERY_UNIT if unit is None else _checked_unit(target, unit))
        batch = _batch_of(inputs)
        values = [_fitted(each.name, each.shape, each.dtype, a, batch) for each, a in self._paired(inputs)]
        plan = self._derivative(target, tap)
        # What is the same for every image has a gradient that is not, and so has what depends on other images.
        by_image = not (tap.tensor.batched and target.tensor.batched) or target.tensor.mixed
        fetch = self._fetch_by_image if by_image else self._fetch
        values_there, slopes = fetch(plan, (tap, tap), values, chosen)
        return values_there, slopes

    def is_ready(self, taps: Sequence[Tap], input_shapes: Sequence[Shape]) -> bool:
        """Whether a run for `taps` has a plan already."""
        return self._kept(self._key(taps), taps, input_shapes) is not None

    def batches(self, taps: Sequence[Tap], input_shapes: Sequence[Shape]) -> bool:
        """Whether images may run together for `taps`, as far as is known: a first batch tells."""
        plan = self._kept(self._key(taps), taps, input_shapes)
        mixed = any(tap.tensor.mixed for tap in taps)
        return not mixed and (plan is None or self._has_batched(plan, taps, input_shapes))

    def compile(self, taps: Sequence[Tap]) -> None:
        """Have a plan for `taps`."""
        self._plans.get(self._key(taps))

    def inferred_shapes(self, taps: Sequence[Tap], input_shapes: Sequence[Shape]) -> list[Shape]:
        """What shape each tap has for one image, on inputs of `input_shapes` (both without batch axis).

        Where a layer folds other axes into the batch axis, the number of rows that one image has comes first. None
        stands for a size that only a run can tell, as behind a loop of unknown length.
        """
        known = self._shapes.on(input_shapes)
        return [known[tap.tensor.name] for tap in taps]

    def shapes(self, taps: Sequence[Tap], input_shapes: Sequence[Shape]) -> list[tuple[int, ...]]:
        """The same without a None: where it must be, a blank image is run, once for each size."""
        known = self._shapes.on(input_shapes)
        unknown = [tap for tap in taps if None in known[tap.tensor.name]]
        if unknown:
            known.update(self._measured(unknown, input_shapes))
        return [cast("tuple[int, ...]", known[tap.tensor.name]) for tap in taps]

    def peak_bytes(self, taps: Sequence[Tap], input_shapes: Sequence[Shape]) -> int:
        """About how many bytes a run for one image takes at its fullest moment, the values of `taps` among them.

        Estimated, see `layerscope.graph.liveness`. Values whose size only a run can tell are not counted.
        """
        return self._estimated(self._liveness.peak, taps, input_shapes)

    def value_bytes(self, taps: Sequence[Tap], input_shapes: Sequence[Shape]) -> int:
        """Bytes of the values of `taps` for one image, where their size is known before a run."""
        shapes = self._shapes.on(input_shapes)
        return sum(_bytes_of(shapes[tap.tensor.name], tap) for tap in taps)

    def work(self, taps: Sequence[Tap], input_shapes: Sequence[Shape]) -> int:
        """About how much computing `taps` for one image is, in multiplications; as `peak_bytes` estimated."""
        return self._estimated(self._liveness.work, taps, input_shapes)

    def close(self) -> None:
        """Give back all memory. The executable cannot be used afterwards."""
        self._plans.clear()
        del self._weights
        release()

    def _key(self, taps: Iterable[Tap], feeds: Iterable[Tap] = ()) -> PlanKey:
        replaced = [tap.tensor.name for tap in feeds]
        # What is fed is fetched too, or TensorFlow might fuse it away.
        fetched = {*(tap.tensor.name for tap in taps), *replaced}
        return PlanKey((*self._placeholders, *replaced), tuple(sorted(fetched)))

    def _kept(self, key: PlanKey, taps: Sequence[Tap], input_shapes: Sequence[Shape]) -> Plan | None:
        """The plan of this key or, if there is none, one that fetches more at little more work."""
        plan = self._plans.kept(key)
        if plan is None and (covering := self._plans.covering(key)):
            work = {each: self.work(self._fetched_by(each), input_shapes) for each in covering}
            least = min(covering, key=work.__getitem__)
            if work[least] <= _LITTLE_MORE_WORK * self.work(taps, input_shapes):
                plan = self._plans.kept(least.key)
        return plan

    def _fetched_by(self, plan: Plan) -> list[Tap]:
        return [self._taps[name] for name in plan.key.fetched]

    def _estimated(
        self,
        estimate: Callable[[Sequence[Tap], Callable[[Tap], int]], int],
        taps: Sequence[Tap],
        input_shapes: Sequence[Shape],
    ) -> int:
        key = (estimate.__name__, *taps, *map(tuple, input_shapes))
        with self._lock:
            known = self._estimates.get(key)
        if known is None:
            shapes = self._shapes.on(input_shapes)
            known = estimate(taps, lambda tap: _bytes_of(shapes[tap.tensor.name], tap))
            with self._lock:
                self._estimates[key] = known
        return known

    def _compile(self, key: PlanKey) -> Plan:
        return compile_plan(self._parts, self._weights, self._sizes, key)

    def _derivative(self, target: Tap, tap: Tap) -> Plan:
        """The plan of a derivative. One that cannot be had is remembered too: to try is half of compiling."""
        pair = target.tensor.name, tap.tensor.name
        if pair not in self._flat:
            try:
                return self._plans.get(PlanKey(self._placeholders, (tap.tensor.name,), pair))
            except (LookupError, ValueError, TypeError):
                self._flat.add(pair)
        raise NotDifferentiable(
            f"No gradient flows from {target.address} back to {tap.address}.",
            target=target.address,
            layer=tap.address,
        )

    def _paired(self, per_input: Sequence[Any]) -> Iterator[tuple[Input, Any]]:
        if len(per_input) != len(self.inputs):
            raise InputMismatch(f"The model takes {len(self.inputs)} inputs, not {len(per_input)}.")
        return zip(self.inputs, per_input, strict=True)

    def _fetch(self, plan: Plan, taps: Sequence[Tap], values: Sequence[Array], *settings: Any) -> list[Array]:
        batch = len(values[0])
        if batch > 1 and not self._has_batched(plan, taps, [value.shape[1:] for value in values]):
            return self._fetch_by_image(plan, taps, values, *settings)
        arrays = self._call(plan, taps, [*values, *settings])
        apart = any(_needs_images_apart(tap, array, batch) for tap, array in zip(taps, arrays, strict=True))
        if apart or not self._is_as_alone(plan, taps, arrays, values, *settings):
            return self._fetch_by_image(plan, taps, values, *settings)
        return [_delivered(tap, array, batch) for tap, array in zip(taps, arrays, strict=True)]

    def _has_batched(self, plan: Plan, taps: Sequence[Tap], sizes: Sequence[Shape]) -> bool:
        """Whether images have run together before without a difference; true if it was never tried."""
        with self._lock:
            known = self._batches.get((plan.key, *map(tuple, sizes)), {})
        return all(known.get(name, True) for name in _names(plan, taps))

    def _is_as_alone(
        self,
        plan: Plan,
        taps: Sequence[Tap],
        arrays: Sequence[Array],
        values: Sequence[Array],
        *settings: Any,
    ) -> bool:
        """Whether the arrays of a batch are what each image gets alone. The first image tells, once for each size."""
        if len(values[0]) == 1:
            return True
        key = (plan.key, *(value.shape[1:] for value in values))
        names = _names(plan, taps)
        with self._lock:
            known = self._batches.setdefault(key, {})
        if not known.keys() >= set(names):
            if all(np.array_equal(value[0], value[1]) for value in values):
                # Equal images do not tell whether the model compares them.
                return False
            alone = self._call(plan, taps, [*(value[:1] for value in values), *settings])
            for name, array, single in zip(names, arrays, alone, strict=True):
                known[name] = self._same(array[:1], single)
        return all(known[name] for name in names)

    def _fetch_by_image(
        self, plan: Any, taps: Sequence[Tap], values: Sequence[Array], *settings: Any
    ) -> list[Array]:
        """Some layers fold other axes into the batch axis, or mix images: a run of one image tells what is its."""
        images = [[value[n : n + 1] for value in values] for n in range(len(values[0]))]
        rows = [self._call(plan, taps, [*image, *settings]) for image in images]
        columns = [[_one_image(tap, row[k]) for row in rows] for k, tap in enumerate(taps)]
        for tap, column in zip(taps, columns, strict=True):
            if len({array.shape for array in column}) > 1:
                raise InputMismatch(
                    f"{tap.address} has another size for each of these images: send them one by one.",
                    layer=tap.address,
                )
        return [np.stack(column) for column in columns]

    def _call(self, plan: Plan, taps: Sequence[Tap], values: Sequence[Any]) -> list[Array]:
        """What a plan computes, as many arrays as `taps`: theirs, or those of a derivative."""
        try:
            arrays = plan(values)
        except (ValueError, TypeError, tf.errors.InvalidArgumentError) as error:
            shapes = [list(value.shape) for value in values]
            raise InputMismatch(
                f"The model cannot run on inputs of shape {', '.join(map(str, shapes))}.", shapes=shapes
            ) from error
        if plan.key.derivative is not None:
            return arrays
        by_name = dict(zip(plan.key.fetched, arrays, strict=True))
        return [by_name[tap.tensor.name] for tap in taps]

    def _measured(self, taps: Sequence[Tap], input_shapes: Sequence[Shape]) -> dict[str, Shape]:
        blank = [np.zeros((1, *shape), np.dtype(each.dtype)) for each, shape in self._paired(input_shapes)]
        arrays = self.run(blank, taps)
        return {tap.tensor.name: array.shape[1:] for tap, array in zip(taps, arrays, strict=True)}


def _bytes_of(shape: Shape, tap: Tap) -> int:
    sizes = [size for size in shape if size is not None]
    return prod(sizes) * tap.dtype.itemsize if len(sizes) == len(shape) else 0


def _checked_unit(target: Tap, unit: int) -> int:
    size = target.shape[-1] if target.shape else 0
    if unit < 0 or (size is not None and unit >= size):
        raise ChannelNotFound(
            f"{target.address} has {size} units, numbered from 0: there is no unit {unit}.", unit=unit
        )
    return unit


def _batch_of(inputs: Sequence[Array]) -> int:
    return len(inputs[0]) if inputs and inputs[0].ndim else 0


def _require_batched(taps: Iterable[Tap]) -> None:
    for tap in taps:
        if not tap.tensor.batched:
            mixes, same = (
                "mixes the images of a batch",
                "is a constant of the model, the same for every image",
            )
            why = mixes if tap.tensor.mixed else same
            raise InputMismatch(f"{tap.address} {why}: it cannot be replaced.", layer=tap.address)


def _fitted(name: str, shape: Shape, dtype: str, array: Array, batch: int) -> Array:
    """TensorFlow does not compare what is fed with the place where it goes."""
    wanted = (batch, *shape)
    if len(wanted) != array.ndim or any(w not in {None, n} for w, n in zip(wanted, array.shape, strict=True)):
        raise InputMismatch(
            f"{name} takes shape {list(wanted)}, not {list(array.shape)}.",
            expected=list(wanted),
            got=list(array.shape),
        )
    return np.asarray(array, np.dtype(dtype))


def _names(plan: Plan, taps: Sequence[Tap]) -> list[str]:
    """What a plan's arrays are called: after their taps, but for a derivative."""
    names = [tap.tensor.name for tap in taps]
    return names if plan.key.derivative is None else [*names[:-1], "derivative"]


def _same_bits(found: Array, expected: Array) -> bool:
    return found.shape == expected.shape and found.tobytes() == expected.tobytes()


def _same_but_for_rounding(found: Array, expected: Array) -> bool:
    if found.shape != expected.shape:
        return False
    scale = float(np.nanmax(np.abs(expected), initial=0))
    return np.allclose(found, expected, rtol=1e-3, atol=1e-4 * scale, equal_nan=True)


def _needs_images_apart(tap: Tap, array: Array, batch: int) -> bool:
    return tap.tensor.mixed or (tap.tensor.batched and len(array) != batch)


def _delivered(tap: Tap, array: Array, batch: int) -> Array:
    values = array if array.dtype == tap.dtype else array.astype(tap.dtype)
    return values if tap.tensor.batched else np.broadcast_to(values, (batch, *values.shape))


def _one_image(tap: Tap, array: Array) -> Array:
    values = _delivered(tap, array, 1)
    return values[0] if len(values) == 1 else values
