"""A traced model that runs: one session, its weights as variables, one compiled plan a (feeds, fetches) pair."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from cachetools import LRUCache

from layerscope.errors import InputMismatch, ModelRefused, NotDifferentiable
from layerscope.graph.signature import Input
from layerscope.graph.taps import Shape, Tap
from layerscope.graph.tracing import Trace

Array = np.ndarray[Any, np.dtype[Any]]

_BYTES_A_TRANSFER = 64 * 1024 * 1024


class Executable:
    """Fetches, feeds and differentiates by the taps of one traced model. Safe to use from many threads.

    A *plan* is a TensorFlow callable for one set of fed and fetched tensors. The first run of a plan compiles it
    (0.03 to 0.3 s); the `plans` most recently used are kept, and a dropped plan gives its memory back.

    Raises:
        ModelRefused: the model holds state other than variables, such as a lookup table.
    """

    def __init__(self, trace: Trace, *, plans: int = 64) -> None:
        self.inputs: tuple[Input, ...] = trace.inputs
        self._trace = trace
        self._placeholders = trace.placeholders
        self._plans: LRUCache[tuple[Any, ...], Any] = LRUCache(plans)
        self._gradients: dict[tuple[str, str, int | None], Any] = {}
        self._lock = threading.Lock()
        self._graph = tf.Graph()
        with self._graph.as_default():
            assignments = _import(trace)
        self._session = tf.compat.v1.Session(graph=self._graph)
        self.weight_bytes = sum(_assign(self._session, group) for group in _groups(assignments))

    def run(self, inputs: Sequence[Array], taps: Sequence[Tap], feeds: Mapping[Tap, Array] | None = None) -> list[Array]:
        """Run the model once.

        Args:
            inputs: one array an input of the model, each (batch, *shape), in the order of `self.inputs`.
            taps: the values to fetch.
            feeds: values to put in place of what the model would compute there, each (batch, *tap shape).

        Returns:
            One array a tap, (batch, *tap shape), in the tap's delivered dtype.

        Raises:
            InputMismatch: the arrays do not fit the inputs or each other.
        """
        feeds = feeds or {}
        values = [*inputs, *feeds.values()]
        fed = (*self._placeholders, *(tap.tensor.name for tap in feeds))
        batch = len(inputs[0])
        fetched = self._call(self._plan(fed, tuple(tap.tensor.name for tap in taps)), values)
        if any(tap.tensor.batched and len(array) != batch for tap, array in zip(taps, fetched, strict=True)):
            return self._run_one_by_one(inputs, taps, feeds)
        return [_delivered(tap, array, batch) for tap, array in zip(taps, fetched, strict=True)]

    def gradient(self, inputs: Sequence[Array], target: Tap, tap: Tap, unit: int | None = None) -> tuple[Array, Array]:
        """Differentiate a model output by a tap.

        Args:
            inputs: as for `run`.
            target: the value to differentiate, summed over everything but the batch axis.
            tap: what to differentiate by.
            unit: take only this index of the target's last axis.

        Returns:
            The tap's values and the gradient there, both (batch, *tap shape).

        Raises:
            NotDifferentiable: the target does not depend on the tap, or not smoothly.
        """
        derivative = self._gradient(target, tap, unit)
        values, slopes = self._call(self._plan(self._placeholders, (tap.tensor.name, derivative)), inputs)
        return values, slopes

    def shapes(self, taps: Sequence[Tap], input_shapes: Sequence[tuple[int, ...]]) -> list[Shape]:
        """What shape each tap has on inputs of `input_shapes` (without batch axis), without running anything."""
        if all(None not in tap.shape for tap in taps):
            return [tap.shape for tap in taps]
        with self._graph.as_default() as graph:
            definition = graph.as_graph_def()
        with tf.Graph().as_default() as scratch:
            replaced = {
                name: tf.compat.v1.placeholder(each.dtype, [None, *shape])
                for name, each, shape in zip(self._placeholders, self.inputs, input_shapes, strict=True)
            }
            tf.import_graph_def(definition, input_map=replaced, name="")
            tensors = [scratch.get_tensor_by_name(tap.tensor.name) for tap in taps]
            return [
                tuple(tensor.shape.as_list()[1 if tap.tensor.batched else 0 :])
                for tap, tensor in zip(taps, tensors, strict=True)
            ]

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
            tensor = self._graph.get_tensor_by_name
            plan = self._session.make_callable([tensor(n) for n in fetched], [tensor(n) for n in fed])
            with self._lock:
                plan = self._plans.setdefault(key, plan)
        return plan

    def _call(self, plan: Any, values: Sequence[Array]) -> list[Array]:
        try:
            result: list[Array] = plan(*values)
        except (ValueError, TypeError, tf.errors.InvalidArgumentError, tf.errors.FailedPreconditionError) as error:
            shapes = ", ".join(str(value.shape) for value in values)
            raise InputMismatch(
                f"The model cannot run on inputs of shape {shapes}.", shapes=[list(value.shape) for value in values]
            ) from error
        return result

    def _run_one_by_one(self, inputs: Sequence[Array], taps: Sequence[Tap], feeds: Mapping[Tap, Array]) -> list[Array]:
        """Some layers fold other axes into the batch axis; only a run of one image tells whose rows they are."""
        plan = self._plan(
            (*self._placeholders, *(tap.tensor.name for tap in feeds)), tuple(tap.tensor.name for tap in taps)
        )
        values = [*inputs, *feeds.values()]
        rows = [self._call(plan, [value[n : n + 1] for value in values]) for n in range(len(inputs[0]))]
        return [np.stack([_one_image(tap, row[k]) for row in rows]) for k, tap in enumerate(taps)]

    def _gradient(self, target: Tap, tap: Tap, unit: int | None) -> str:
        key = (target.tensor.name, tap.tensor.name, unit)
        with self._lock:
            if key not in self._gradients:
                self._gradients[key] = self._add_gradient(target, tap, unit)
            return self._gradients[key].name

    def _add_gradient(self, target: Tap, tap: Tap, unit: int | None) -> Any:
        output = self._graph.get_tensor_by_name(target.tensor.name)
        with self._graph.as_default():
            score = output if unit is None else output[..., unit]
            try:
                (slope,) = tf.gradients(score, [self._graph.get_tensor_by_name(tap.tensor.name)])
            except (LookupError, ValueError, TypeError):
                slope = None
            if slope is not None:
                return tf.convert_to_tensor(slope)
        raise NotDifferentiable(
            f"No gradient flows from {target.address} back to {tap.address}.", target=target.address, layer=tap.address
        )


def _import(trace: Trace) -> list[tuple[Any, Any, Any]]:
    """Import the graph into the current one; return (assign operation, its placeholder, variable) a weight."""
    replaced: dict[str, Any] = {}
    assignments = []
    for number, (placeholder, source) in enumerate(trace.captures):
        if not isinstance(source, tf.Variable):
            replaced[placeholder] = _constant(source)
            continue
        handle = tf.raw_ops.VarHandleOp(
            dtype=source.dtype, shape=source.shape, shared_name=f"weight_{number}", name=f"weight_{number}"
        )
        value = tf.compat.v1.placeholder(source.dtype, source.shape)
        assignments.append((tf.raw_ops.AssignVariableOp(resource=handle, value=value), value, source))
        replaced[placeholder] = handle
    tf.import_graph_def(trace.graph_def, input_map=replaced, name="")
    return assignments


def _constant(source: Any) -> Any:
    if source.dtype == tf.resource:
        raise ModelRefused("The model looks something up in a table: remove its lookup layers and save it again.")
    return tf.constant(source.numpy())


def _groups(assignments: list[tuple[Any, Any, Any]]) -> Iterator[list[tuple[Any, Any, Any]]]:
    """Split so that a transfer, which is copied on its way, stays small while few transfers are needed."""
    group: list[tuple[Any, Any, Any]] = []
    size = 0
    for assignment in assignments:
        variable = assignment[2]
        size += variable.shape.num_elements() * variable.dtype.size
        group.append(assignment)
        if size >= _BYTES_A_TRANSFER:
            yield group
            group, size = [], 0
    if group:
        yield group


def _assign(session: Any, group: list[tuple[Any, Any, Any]]) -> int:
    values = {placeholder: variable.numpy() for _, placeholder, variable in group}
    session.run([operation for operation, _, _ in group], values)
    return sum(value.nbytes for value in values.values())


def _delivered(tap: Tap, array: Array, batch: int) -> Array:
    values = array if array.dtype == tap.dtype else array.astype(tap.dtype)
    return values if tap.tensor.batched else np.broadcast_to(values, (batch, *values.shape))


def _one_image(tap: Tap, array: Array) -> Array:
    values = _delivered(tap, array, 1)
    return values[0] if len(values) == 1 else values
