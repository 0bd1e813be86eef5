"""A traced model that runs: its taps fetched, fed and differentiated by, through plans that are compiled once."""

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

import numpy as np
import tensorflow as tf
from cachetools import LRUCache

from layerscope.errors import InputMismatch, ModelNotLoaded, NotDifferentiable
from layerscope.graph.analysis.cost_model import Estimates
from layerscope.graph.analysis.logits import Head, head_of
from layerscope.graph.analysis.shapes import TapShapes
from layerscope.graph.analysis.subgraph import GraphParts, node_of
from layerscope.graph.prepared.prepared_model import Prepared
from layerscope.graph.prepared.weights import Weights, release
from layerscope.graph.rewrites.guided_relu import RECTIFIERS
from layerscope.graph.runtime.batch_arrays import (
    batch_of,
    delivered,
    fitted,
    fitted_weights,
    needs_images_apart,
    one_image,
    require_batched,
    same_bits,
    same_but_for_rounding,
)
from layerscope.graph.runtime.derivatives import Derivative
from layerscope.graph.runtime.plans import Plan, PlanCache, PlanKey, Slope, compile_plan
from layerscope.graph.taps.shape_errors import cannot_run
from layerscope.graph.taps.tap import Input, Shape, Tap

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
        self._weights: Weights | None = Weights(prepared)
        self._plans = PlanCache(self._compile, plan_bytes)
        self._flat: set[PlanKey] = set()
        self._exact = exact
        self._batches: LRUCache[tuple[Any, ...], dict[str, bool]] = LRUCache(1024)
        self._shapes = TapShapes(prepared, sizes=_SIZES_KEPT)
        self._estimates = Estimates(blueprint.calls, self._shapes)
        self._taps = {tap.tensor.name: tap for call in blueprint.calls for tap in call.taps}
        self._lock = threading.Lock()

    @property
    def weight_bytes(self) -> int:
        """What the weights take in memory."""
        return self._weights.nbytes if self._weights else 0

    @property
    def plan_bytes(self) -> int:
        """What the plans that are kept take in memory, about."""
        return self._plans.nbytes

    def run(
        self,
        inputs: Sequence[Array],
        taps: Sequence[Tap],
        feeds: Mapping[Tap, Array] | None = None,
        *,
        exact: bool = True,
    ) -> list[Array]:
        """Run the model once.

        Args:
            inputs: one array an input of the model, each (batch, *shape), in the order of `self.inputs`.
            taps: the values to fetch.
            feeds: values to put in place of what the model would compute there, each (batch, *tap shape).
            exact: whether this run is exact, if the executable is.

        Returns:
            One array a tap, (batch, *tap shape), in the tap's delivered dtype. Where a layer folds other axes
            into the batch axis, an image has several rows: (batch, rows, *tap shape).

        Raises:
            InputMismatch: the arrays do not fit the inputs, the fed taps or each other.
        """
        feeds = feeds or {}
        batch = batch_of(inputs)
        require_batched(feeds)
        values = [
            *(fitted(each.name, each.shape, each.dtype, a, batch) for each, a in self._paired(inputs)),
            *(fitted(tap.address, tap.shape, tap.tensor.dtype, a, batch) for tap, a in feeds.items()),
        ]
        key = self._key(taps, feeds)
        plan = self._kept(key, taps, [value.shape[1:] for value in values]) or self._plans.get(key)
        return self._fetch(plan, taps, values, exact=exact)

    def gradient(
        self,
        inputs: Sequence[Array],
        derivative: Derivative,
        weights: Array | None = None,
        values: Array | None = None,
        *,
        exact: bool = True,
    ) -> Array:
        """Differentiate one value by another.

        Args:
            inputs: as for `run`.
            derivative: of what by what.
            weights: how much each value of the target counts, in its shape, (batch, *target shape); left out, one.
            values: the source's, as `run` returns them, if they are known: what comes before the source is not
                computed again. Only for a derivative that `is_fed`.
            exact: as for `run`.

        Returns:
            The gradient, as `run` returns the source.

        Raises:
            NotDifferentiable: the target does not depend on the source, or not smoothly.
            InputMismatch: the arrays do not fit the inputs, the target or the source.
        """
        target, source = derivative.target, derivative.source
        batch = batch_of(inputs)
        arrays = [fitted(each.name, each.shape, each.dtype, a, batch) for each, a in self._paired(inputs)]
        if weights is None:
            (shape,) = self.shapes([target], [array.shape[1:] for array in arrays])
            weights = np.ones((batch, *shape), np.dtype(target.tensor.dtype))
        if values is not None:
            require_batched([source])
            arrays.append(fitted(source.address, source.shape, source.tensor.dtype, values, batch))
        arrays.append(fitted_weights(target, weights, batch))
        plan = self._derivative(derivative)
        # What is the same for every image has a gradient that is not, and so has what depends on other images.
        by_image = not (source.tensor.batched and target.tensor.batched) or target.tensor.mixed
        if by_image:
            return self._fetch_by_image(plan, (source,), arrays)[0]
        return self._fetch(plan, (source,), arrays, exact=exact)[0]

    def run_between(self, sources: Mapping[Tap, Array], target: Tap) -> Array:
        """Run only what lies between some values and another.

        Args:
            sources: values by tap, (batch, *shape); of any size that the layers between can take.
            target: what is computed from them and from no other input.

        Returns:
            Its values, (batch, *shape), in the tap's delivered dtype.

        Raises:
            InputMismatch: the layers between cannot run on part of the values.
        """
        plan = self._between(tuple(sources), target)
        arrays = [np.asarray(array, np.dtype(tap.tensor.dtype)) for tap, array in sources.items()]
        (found,) = self._call(plan, [target], arrays)
        return delivered(target, found, len(arrays[0]))

    def is_ready_between(self, sources: Iterable[Tap], target: Tap) -> bool:
        """Whether `run_between` has a plan already."""
        return self._plans.kept(_key_between(sources, target)) is not None

    def compile_between(self, sources: Iterable[Tap], target: Tap) -> None:
        """Have a plan for `run_between`.

        Raises:
            InputMismatch: as that does.
        """
        self._between(sources, target)

    def is_ready(self, taps: Sequence[Tap], input_shapes: Sequence[Shape]) -> bool:
        """Whether a run for `taps` has a plan already."""
        return self._kept(self._key(taps), taps, input_shapes) is not None

    def batches(self, taps: Sequence[Tap], input_shapes: Sequence[Shape]) -> bool:
        """Whether images may run together for `taps`, as far as is known: a first batch tells."""
        plan = self._kept(self._key(taps), taps, input_shapes)
        mixed = any(tap.tensor.mixed for tap in taps)
        return not mixed and (plan is None or self._has_batched(plan, taps, input_shapes, self._exact))

    def compile(self, taps: Sequence[Tap]) -> None:
        """Have a plan for `taps`.

        Raises:
            ModelNotLoaded: it is closed.
        """
        self._plans.get(self._key(taps))

    def is_derived(self, derivative: Derivative) -> bool:
        """Whether a gradient has a plan already."""
        return self._plans.kept(self._derivative_key(derivative)) is not None

    def derive(self, derivative: Derivative) -> None:
        """Have a plan for a gradient.

        Raises:
            NotDifferentiable: there is none.
        """
        self._derivative(derivative)

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

    def head(self, output: Tap) -> Head:
        """What an output is computed from by its last activation function, as far as the graph tells."""
        return head_of(output, self._parts.nodes, self._taps.values())

    def depends(self, target: Tap, source: Tap) -> bool:
        """Whether a value is computed from another."""
        return node_of(source.tensor.name) in self._parts.needed(target.tensor.name)

    def separators(self, source: Tap, target: Tap) -> set[str]:
        """The names of the nodes that every way from a value to another leads through."""
        return self._parts.separators(source.tensor.name, target.tensor.name)

    def is_rectified(self, target: Tap) -> bool:
        """Whether rectifiers, which can be guided, are on the way to a value."""
        return any(
            self._parts.nodes[name].op in RECTIFIERS for name in self._parts.needed(target.tensor.name)
        )

    def backward_bytes(self, target: Tap, input_shapes: Sequence[Shape]) -> int:
        """About how many bytes a gradient takes for one image: all values on the way, forwards and backwards."""
        return 2 * self._estimates.total([target], input_shapes)

    def peak_bytes(self, taps: Sequence[Tap], input_shapes: Sequence[Shape]) -> int:
        """About how many bytes a run for one image takes at its fullest moment, the values of `taps` among them.

        Estimated, see `layerscope.graph.analysis.liveness`. Values whose size only a run can tell are not counted.
        """
        return self._estimates.peak(taps, input_shapes)

    def value_bytes(self, taps: Sequence[Tap], input_shapes: Sequence[Shape]) -> int:
        """Bytes of the values of `taps` for one image, where their size is known before a run."""
        return self._estimates.values(taps, input_shapes)

    def work(self, taps: Sequence[Tap], input_shapes: Sequence[Shape]) -> int:
        """About how much computing `taps` for one image is, in multiplications; as `peak_bytes` estimated."""
        return self._estimates.work(taps, input_shapes)

    def close(self) -> None:
        """Give back all memory. The executable cannot be used afterwards."""
        self._plans.clear()
        self._weights = None
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

    def _compile(self, key: PlanKey) -> Plan:
        if self._weights is None:
            raise ModelNotLoaded("The model was unloaded meanwhile: load it again.")
        return compile_plan(self._parts, self._weights, self._taps, key)

    def _between(self, sources: Iterable[Tap], target: Tap) -> Plan:
        try:
            return self._plans.get(_key_between(sources, target))
        except (LookupError, ValueError, TypeError) as error:
            message = f"What lies before {target.address} cannot run on part of its input."
            raise InputMismatch(message, layer=target.address) from error

    def _derivative(self, derivative: Derivative) -> Plan:
        """The plan of a derivative. One that cannot be had is remembered too: to try is half of compiling."""
        key = self._derivative_key(derivative)
        if key not in self._flat:
            try:
                return self._plans.get(key)
            except (LookupError, ValueError, TypeError):
                self._flat.add(key)
        target, source = derivative.target.address, derivative.source.address
        raise NotDifferentiable(
            f"No gradient flows from {target} back to {source}.", target=target, layer=source
        )

    def _derivative_key(self, derivative: Derivative) -> PlanKey:
        source = derivative.source.tensor.name
        replaced = (source,) if derivative.is_fed else ()
        slope = Slope(derivative.target.tensor.name, source, derivative.guided)
        return PlanKey((*self._placeholders, *replaced), replaced, slope)

    def _paired(self, per_input: Sequence[Any]) -> Iterator[tuple[Input, Any]]:
        if len(per_input) != len(self.inputs):
            raise InputMismatch(f"The model takes {len(self.inputs)} inputs, not {len(per_input)}.")
        return zip(self.inputs, per_input, strict=True)

    def _fetch(self, plan: Plan, taps: Sequence[Tap], values: Sequence[Array], *, exact: bool) -> list[Array]:
        batch, exact = len(values[0]), exact and self._exact
        if batch > 1 and not self._has_batched(plan, taps, [value.shape[1:] for value in values], exact):
            return self._fetch_by_image(plan, taps, values)
        arrays = self._call(plan, taps, values)
        apart = any(needs_images_apart(tap, array, batch) for tap, array in zip(taps, arrays, strict=True))
        if apart or not self._is_as_alone(plan, taps, arrays, values, exact):
            return self._fetch_by_image(plan, taps, values)
        return [delivered(tap, array, batch) for tap, array in zip(taps, arrays, strict=True)]

    def _has_batched(self, plan: Plan, taps: Sequence[Tap], sizes: Sequence[Shape], exact: bool) -> bool:
        """Whether images have run together before without a difference; true if it was never tried."""
        with self._lock:
            known = self._batches.get((plan.key, exact, *map(tuple, sizes)), {})
        return all(known.get(name, True) for name in [tap.tensor.name for tap in taps])

    def _is_as_alone(
        self, plan: Plan, taps: Sequence[Tap], arrays: Sequence[Array], values: Sequence[Array], exact: bool
    ) -> bool:
        """Whether the arrays of a batch are what each image gets alone. The first image tells, once for each size."""
        if len(values[0]) == 1:
            return True
        key = (plan.key, exact, *(value.shape[1:] for value in values))
        names = [tap.tensor.name for tap in taps]
        with self._lock:
            known = self._batches.setdefault(key, {})
        if not known.keys() >= set(names):
            if all(np.array_equal(value[0], value[1]) for value in values):
                # Equal images do not tell whether the model compares them.
                return False
            alone = self._call(plan, taps, [value[:1] for value in values])
            same = same_bits if exact else same_but_for_rounding
            for name, array, single in zip(names, arrays, alone, strict=True):
                known[name] = same(array[:1], single)
        return all(known[name] for name in names)

    def _fetch_by_image(self, plan: Plan, taps: Sequence[Tap], values: Sequence[Array]) -> list[Array]:
        """Some layers fold other axes into the batch axis, or mix images: a run of one image tells what is its."""
        images = [[value[n : n + 1] for value in values] for n in range(len(values[0]))]
        rows = [self._call(plan, taps, image) for image in images]
        columns = [[one_image(tap, row[k]) for row in rows] for k, tap in enumerate(taps)]
        for tap, column in zip(taps, columns, strict=True):
            if len({array.shape for array in column}) > 1:
                raise InputMismatch(
                    f"{tap.address} has another size for each of these images: send them one by one.",
                    layer=tap.address,
                )
        return [np.stack(column) for column in columns]

    def _call(self, plan: Plan, taps: Sequence[Tap], values: Sequence[Any]) -> list[Array]:
        """What a plan computes: the arrays of `taps`, or the derivative by the only one."""
        try:
            arrays = plan(values)
        except (ValueError, TypeError, tf.errors.InvalidArgumentError) as error:
            raise cannot_run([value.shape for value in values]) from error
        if plan.key.derivative is not None:
            return arrays[-1:]
        by_name = dict(zip(plan.key.fetched, arrays, strict=True))
        return [by_name[tap.tensor.name] for tap in taps]

    def _measured(self, taps: Sequence[Tap], input_shapes: Sequence[Shape]) -> dict[str, Shape]:
        blank = [np.zeros((1, *shape), np.dtype(each.dtype)) for each, shape in self._paired(input_shapes)]
        arrays = self.run(blank, taps)
        return {tap.tensor.name: array.shape[1:] for tap, array in zip(taps, arrays, strict=True)}


def _key_between(sources: Iterable[Tap], target: Tap) -> PlanKey:
    return PlanKey(tuple(tap.tensor.name for tap in sources), (target.tensor.name,), is_cut=True)
