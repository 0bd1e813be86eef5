"""A traced model that runs: one session, its weights as variables, one compiled plan a (feeds, fetches) pair."""

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import prod
from typing import Any, cast

import numpy as np
import tensorflow as tf
from cachetools import LRUCache
from tensorflow.core.protobuf import config_pb2
from tensorflow.python.framework.ops import dismantle_graph

from layerscope.errors import ChannelNotFound, InputMismatch, NotDifferentiable
from layerscope.graph.handover import Prepared
from layerscope.graph.liveness import Liveness
from layerscope.graph.shapes import TapShapes
from layerscope.graph.taps import Input, LayerCall, Shape, Tap
from layerscope.graph.weights import assign, import_graph, release

Array = np.ndarray[Any, np.dtype[Any]]

_EVERY_UNIT = -1


class Executable:
    """Fetches, feeds and differentiates by the taps of one traced model. Safe to use from many threads.

    A *plan* is a TensorFlow callable for one set of fed and fetched tensors. The first run of a plan compiles it
    (0.03 to 0.3 s); the `plans` most recently used are kept, and a dropped plan gives its memory back.

    Its weights stay where they are prepared: in the memory of `prepared`, which it keeps until it is closed.
    """

    def __init__(self, prepared: Prepared, *, plans: int = 64) -> None:
        blueprint = prepared.blueprint
        self.inputs: tuple[Input, ...] = blueprint.inputs
        self._placeholders = blueprint.placeholders
        self._plans: LRUCache[tuple[Any, ...], Any] = LRUCache(plans)
        self._gradients: dict[tuple[str, str], str | None] = {}
        self._shapes = TapShapes(prepared, sizes=plans)
        self._liveness = Liveness(blueprint.calls)
        self._peaks: LRUCache[tuple[Any, ...], int] = LRUCache(plans)
        self._lock = threading.Lock()
        self._graph = tf.Graph()
        with self._graph.as_default():
            self._unit = tf.compat.v1.placeholder(tf.int32, [], name="layerscope/unit")
            assignments = import_graph(prepared)
            self._exits = {name: _exit(self._graph, name) for name in _tensor_names(blueprint.calls)}
        self._session = tf.compat.v1.Session(graph=self._graph)
        self.weight_bytes = assign(self._session, assignments, prepared)

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
        fed = (*self._placeholders, *(tap.tensor.name for tap in feeds))
        wanted = (*taps, *feeds)
        plan = self._plan(fed, tuple(self._exits[tap.tensor.name] for tap in wanted))
        return self._fetch(plan, wanted, values)[: len(taps)]

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
        chosen = np.int32(_EVERY_UNIT if unit is None else _checked_unit(target, unit))
        batch = _batch_of(inputs)
        values = [_fitted(each.name, each.shape, each.dtype, a, batch) for each, a in self._paired(inputs)]
        plan = self._plan(
            (*self._placeholders, self._unit.name),
            (self._exits[tap.tensor.name], self._gradient(target, tap)),
        )
        # What is the same for every image has a gradient that is not.
        fetch = self._fetch if tap.tensor.batched and target.tensor.batched else self._fetch_by_image
        values_there, slopes = fetch(plan, (tap, tap), values, chosen)
        return values_there, slopes

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
        key = (*taps, *map(tuple, input_shapes))
        with self._lock:
            peak = self._peaks.get(key)
        if peak is None:
            known = self._shapes.on(input_shapes)
            peak = self._liveness.peak(taps, lambda tap: _bytes_of(known[tap.tensor.name], tap))
            with self._lock:
                self._peaks[key] = peak
        return peak

    def close(self) -> None:
        """Give back all memory. The executable cannot be used afterwards."""
        with self._lock:
            self._plans.clear()
            self._session.close()
            del self._session
            # A graph is full of cycles, and would wait for the garbage collector.
            dismantle_graph(self._graph)
        release()

    def _plan(self, fed: tuple[str, ...], fetched: tuple[str, ...]) -> Any:
        key = (fed, fetched)
        with self._lock:
            plan = self._plans.get(key)
        if plan is None:
            options = config_pb2.CallableOptions(feed=fed, fetch=fetched)
            # The public make_callable keeps what it compiled for as long as the session lives.
            plan = self._session._make_callable_from_options(options)  # noqa: SLF001
            with self._lock:
                plan = self._plans.setdefault(key, plan)
        return plan

    def _paired(self, per_input: Sequence[Any]) -> Iterator[tuple[Input, Any]]:
        if len(per_input) != len(self.inputs):
            raise InputMismatch(f"The model takes {len(self.inputs)} inputs, not {len(per_input)}.")
        return zip(self.inputs, per_input, strict=True)

    def _fetch(self, plan: Any, taps: Sequence[Tap], values: Sequence[Array], *settings: Any) -> list[Array]:
        batch = len(values[0])
        arrays = self._call(plan, [*values, *settings])
        if any(_needs_images_apart(tap, array, batch) for tap, array in zip(taps, arrays, strict=True)):
            return self._fetch_by_image(plan, taps, values, *settings)
        return [_delivered(tap, array, batch) for tap, array in zip(taps, arrays, strict=True)]

    def _fetch_by_image(
        self, plan: Any, taps: Sequence[Tap], values: Sequence[Array], *settings: Any
    ) -> list[Array]:
        """Some layers fold other axes into the batch axis, or mix images: a run of one image tells what is its."""
        images = [[value[n : n + 1] for value in values] for n in range(len(values[0]))]
        rows = [self._call(plan, [*image, *settings]) for image in images]
        columns = [[_one_image(tap, row[k]) for row in rows] for k, tap in enumerate(taps)]
        for tap, column in zip(taps, columns, strict=True):
            if len({array.shape for array in column}) > 1:
                raise InputMismatch(
                    f"{tap.address} has another size for each of these images: send them one by one.",
                    layer=tap.address,
                )
        return [np.stack(column) for column in columns]

    def _call(self, plan: Any, values: Sequence[Any]) -> list[Array]:
        try:
            result: list[Array] = plan(*values)
        except (ValueError, TypeError, tf.errors.InvalidArgumentError) as error:
            shapes = [list(value.shape) for value in values]
            raise InputMismatch(
                f"The model cannot run on inputs of shape {', '.join(map(str, shapes))}.", shapes=shapes
            ) from error
        return result

    def _gradient(self, target: Tap, tap: Tap) -> str:
        """The name of the derivative. One that cannot be had is remembered too: trying again would grow the graph."""
        key = (target.tensor.name, tap.tensor.name)
        with self._lock:
            if key not in self._gradients:
                self._gradients[key] = self._add_gradient(*key)
            name = self._gradients[key]
        if name is None:
            raise NotDifferentiable(
                f"No gradient flows from {target.address} back to {tap.address}.",
                target=target.address,
                layer=tap.address,
            )
        return name

    def _add_gradient(self, target: str, tap: str) -> str | None:
        output, source = map(self._graph.get_tensor_by_name, (target, tap))
        # The graph was traced with it: a loop has every output already that its gradient reads.
        tf.compat.v1.experimental.output_all_intermediates(True)
        with self._graph.as_default():
            try:
                (slope,) = tf.gradients(output, [source], [_weights(output, self._unit)])
            except (LookupError, ValueError, TypeError):
                return None
            return None if slope is None else str(tf.identity(slope).name)

    def _measured(self, taps: Sequence[Tap], input_shapes: Sequence[Shape]) -> dict[str, Shape]:
        blank = [np.zeros((1, *shape), np.dtype(each.dtype)) for each, shape in self._paired(input_shapes)]
        arrays = self.run(blank, taps)
        return {tap.tensor.name: array.shape[1:] for tap, array in zip(taps, arrays, strict=True)}


def _tensor_names(calls: Iterable[LayerCall]) -> set[str]:
    return {tap.tensor.name for call in calls for tap in call.taps}


def _bytes_of(shape: Shape, tap: Tap) -> int:
    sizes = [size for size in shape if size is not None]
    return prod(sizes) * tap.dtype.itemsize if len(sizes) == len(shape) else 0


def _exit(graph: Any, name: str) -> str:
    """A second reader of a tensor: it keeps TensorFlow from fusing away what is fetched or fed there."""
    return str(tf.identity(graph.get_tensor_by_name(name), name="layerscope/exit").name)


def _weights(output: Any, unit: Any) -> Any:
    """How much each value of `output` counts: one, or zero for those that are not the unit asked for."""
    ones = tf.ones_like(output)
    if output.shape.rank < 2:
        return ones
    chosen = tf.one_hot(unit, tf.shape(output)[-1], dtype=output.dtype)
    return tf.where(tf.equal(unit, _EVERY_UNIT), ones, ones * chosen)


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
        if tap.tensor.mixed:
            why = "mixes the images of a batch"
        elif not tap.tensor.batched:
            why = "is a constant of the model, the same for every image"
        else:
            continue
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


def _needs_images_apart(tap: Tap, array: Array, batch: int) -> bool:
    return tap.tensor.mixed or (tap.tensor.batched and len(array) != batch)


def _delivered(tap: Tap, array: Array, batch: int) -> Array:
    values = array if array.dtype == tap.dtype else array.astype(tap.dtype)
    return values if tap.tensor.batched else np.broadcast_to(values, (batch, *values.shape))


def _one_image(tap: Tap, array: Array) -> Array:
    values = _delivered(tap, array, 1)
    return values[0] if len(values) == 1 else values
