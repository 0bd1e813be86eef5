"""A traced model that runs: one session, its weights as variables, one compiled plan a (feeds, fetches) pair."""

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

import numpy as np
import tensorflow as tf
from cachetools import LRUCache
from tensorflow.core.protobuf import config_pb2

from layerscope.errors import ChannelNotFound, InputMismatch, NotDifferentiable
from layerscope.graph.taps import Input, Shape, Tap
from layerscope.graph.tracing import Trace
from layerscope.graph.weights import assign, import_graph

Array = np.ndarray[Any, np.dtype[Any]]

_EVERY_UNIT = -1


class Executable:
    """Fetches, feeds and differentiates by the taps of one traced model. Safe to use from many threads.

    A *plan* is a TensorFlow callable for one set of fed and fetched tensors. The first run of a plan compiles it
    (0.03 to 0.3 s); the `plans` most recently used are kept, and a dropped plan gives its memory back.

    Raises:
        ModelRefused: the model holds state other than variables, such as a lookup table.
    """

    def __init__(self, trace: Trace, *, plans: int = 64) -> None:
        self.inputs: tuple[Input, ...] = trace.inputs
        self._placeholders = trace.placeholders
        self._plans: LRUCache[tuple[Any, ...], Any] = LRUCache(plans)
        self._gradients: dict[tuple[str, str], str | None] = {}
        self._shapes: LRUCache[tuple[Any, ...], dict[str, Shape]] = LRUCache(plans)
        self._lock = threading.Lock()
        self._graph = tf.Graph()
        with self._graph.as_default():
            self._unit = tf.compat.v1.placeholder(tf.int32, [], name="layerscope/unit")
            weights = import_graph(trace)
            self._exits = {name: _exit(self._graph, name) for name in _tensor_names(trace)}
        self._session = tf.compat.v1.Session(graph=self._graph)
        self.weight_bytes = assign(self._session, weights)

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
        fetch = self._fetch if tap.tensor.batched else self._fetch_by_image
        values_there, slopes = fetch(plan, (tap, tap), values, chosen)
        return values_there, slopes

    def shapes(self, taps: Sequence[Tap], input_shapes: Sequence[Shape]) -> list[tuple[int, ...]]:
        """What shape each tap has on inputs of `input_shapes` (both without batch axis).

        Nothing is run where TensorFlow can infer the shapes, which it cannot through a loop of unknown length.
        """
        shapes = self._inferred(taps, tuple(map(tuple, input_shapes)))
        unknown = [tap for tap, shape in zip(taps, shapes, strict=True) if None in shape]
        measured = self._measured(unknown, input_shapes) if unknown else {}
        known = zip(taps, shapes, strict=True)
        return [cast("tuple[int, ...]", measured.get(tap, shape)) for tap, shape in known]

    def close(self) -> None:
        """Give back all memory. The executable cannot be used afterwards."""
        with self._lock:
            self._plans.clear()
            self._session.close()

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
        if any(tap.tensor.batched and len(array) != batch for tap, array in zip(taps, arrays, strict=True)):
            return self._fetch_by_image(plan, taps, values, *settings)
        return [_delivered(tap, array, batch) for tap, array in zip(taps, arrays, strict=True)]

    def _fetch_by_image(
        self, plan: Any, taps: Sequence[Tap], values: Sequence[Array], *settings: Any
    ) -> list[Array]:
        """Some layers fold other axes into the batch axis; only a run of one image tells whose rows they are."""
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
        with self._graph.as_default():
            try:
                (slope,) = tf.gradients(output, [source], [_weights(output, self._unit)])
            except (LookupError, ValueError, TypeError):
                return None
            return None if slope is None else str(tf.identity(slope).name)

    def _measured(self, taps: Sequence[Tap], input_shapes: Sequence[Shape]) -> dict[Tap, Shape]:
        blank = [np.zeros((1, *shape), np.dtype(each.dtype)) for each, shape in self._paired(input_shapes)]
        return {tap: array.shape[1:] for tap, array in zip(taps, self.run(blank, taps), strict=True)}

    def _inferred(self, taps: Sequence[Tap], input_shapes: tuple[Shape, ...]) -> list[Shape]:
        if all(None not in tap.shape for tap in taps):
            return [tap.shape for tap in taps]
        with self._lock:
            known = self._shapes.setdefault(input_shapes, {})
        if any(tap.tensor.name not in known for tap in taps):
            known.update(self._infer(taps, input_shapes))
        return [known[tap.tensor.name] for tap in taps]

    def _infer(self, taps: Sequence[Tap], input_shapes: tuple[Shape, ...]) -> dict[str, Shape]:
        """Import the graph for these inputs only; TensorFlow works out every shape that it can on the way."""
        definition = self._graph.as_graph_def()
        with tf.Graph().as_default() as scratch:
            replaced = {
                name: tf.compat.v1.placeholder(each.dtype, [None, *shape])
                for name, (each, shape) in zip(self._placeholders, self._paired(input_shapes), strict=True)
            }
            tf.import_graph_def(definition, input_map=replaced, name="")
            tensors = {tap: scratch.get_tensor_by_name(tap.tensor.name) for tap in taps}
        return {
            tap.tensor.name: tuple(tensor.shape.as_list()[1 if tap.tensor.batched else 0 :])
            for tap, tensor in tensors.items()
        }


def _tensor_names(trace: Trace) -> set[str]:
    return {tap.tensor.name for call in trace.calls for tap in call.taps}


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
        if not tap.tensor.batched:
            raise InputMismatch(
                f"{tap.address} is a constant of the model, the same for every image: it cannot be replaced.",
                layer=tap.address,
            )


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


def _delivered(tap: Tap, array: Array, batch: int) -> Array:
    values = array if array.dtype == tap.dtype else array.astype(tap.dtype)
    return values if tap.tensor.batched else np.broadcast_to(values, (batch, *values.shape))


def _one_image(tap: Tap, array: Array) -> Array:
    values = _delivered(tap, array, 1)
    return values[0] if len(values) == 1 else values
