"""Shapes of all taps for one image, inferred by TensorFlow from the graph alone, and what the nodes take on them."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf
from cachetools import LRUCache
from tensorflow.python.framework.ops import dismantle_graph

from layerscope.graph.analysis.inner_graphs import InnerGraphs
from layerscope.graph.analysis.loop_shapes import Shapes, loop_shapes, tell_shapes
from layerscope.graph.analysis.node_bytes import bytes_of
from layerscope.graph.analysis.node_memory import NodeBytes
from layerscope.graph.analysis.run_cost import NodeCosts, costs_of
from layerscope.graph.analysis.subgraph import data_inputs, node_of
from layerscope.graph.prepared.prepared_model import PreparedModel
from layerscope.graph.taps.shape_errors import cannot_run, leaves_nothing
from layerscope.graph.taps.tap import Shape, Tap
from layerscope.limits import Limits

_LOOPS_IN_A_ROW = 16
"""How many loops that read each other's results are followed."""


@dataclass(frozen=True)
class _Inferred:
    """What the graph tells of a run on inputs of one size: the shapes by the tensor's name, and what each node takes."""

    shapes: dict[str, Shape]
    nbytes: NodeBytes
    costs: NodeCosts


class TapShapes:
    """The shapes of all taps of one model, for inputs of any size.

    Args:
        prepared: the model.
        sizes: of how many sizes of inputs the shapes are kept.
        data_sized_bytes: the bytes that a value may have whose size is a number in the input.

    Attributes:
        nodes: name, operation and data inputs of the nodes of the graph.
    """

    def __init__(
        self, prepared: PreparedModel, *, sizes: int, data_sized_bytes: int = Limits().data_sized_bytes
    ) -> None:
        metadata = prepared.metadata
        self._graph = prepared.graph
        self._entrances = list(zip(metadata.placeholders, metadata.inputs, strict=True))
        self._taps = {tap.tensor.name: tap for call in metadata.calls for tap in call.taps}
        self._outputs = [tap for call in metadata.calls for tap in call.taps if tap.place.site == "output"]
        nodes = tf.compat.v1.GraphDef.FromString(self._graph).node
        self.nodes = [(node.name, node.op, data_inputs(node)) for node in nodes]
        self._known: LRUCache[tuple[Shape, ...], _Inferred] = LRUCache(sizes)
        self._lock = threading.Lock()
        self._data_sized_bytes = data_sized_bytes
        self._from_data_sized = self._computed_from({each.path[0] for each in metadata.data_sized})
        self._single = {None, 1, metadata.batch_size}
        fixed = [each.shape for each in metadata.inputs]
        self._is_any_size = any(None in shape for shape in fixed)
        if not self._is_any_size:
            self.on(fixed)

    def on(self, input_shapes: Sequence[Shape]) -> dict[str, Shape]:
        """The shapes by the tensor's name, on inputs of `input_shapes`, all without batch axis.

        Where a layer folds other axes into the batch axis, the number of rows that one image has comes first. None
        stands for a size that the graph does not tell, as behind a loop of unknown length. A caller that measures
        such a size may put it into the dictionary.

        Raises:
            InputMismatch: the model cannot run on inputs of these sizes.
        """
        return self._inferred(input_shapes).shapes

    def nbytes(self, input_shapes: Sequence[Shape]) -> NodeBytes:
        """The bytes that all nodes of the graph take for one image. Arguments and errors as for `on`."""
        return self._inferred(input_shapes).nbytes

    def costs(self, input_shapes: Sequence[Shape]) -> NodeCosts:
        """What all nodes of the graph cost for one image. Arguments and errors as for `on`."""
        return self._inferred(input_shapes).costs

    def _inferred(self, input_shapes: Sequence[Shape]) -> _Inferred:
        key = tuple(map(tuple, input_shapes))
        with self._lock:
            known = self._known.get(key)
        if known is None:
            known = self._infer(key)
            with self._lock:
                known = self._known.setdefault(key, known)
        return known

    def _infer(self, input_shapes: Sequence[Shape]) -> _Inferred:
        """Infer all shapes for one image of these sizes.

        TensorFlow infers few shapes behind loops. Where one follows from others, TensorFlow is told, and infers again.

        Raises:
            InputMismatch: the model cannot run on inputs of these sizes.
        """
        told: dict[str, Sequence[Any]] = {}
        for is_last in [False] * _LOOPS_IN_A_ROW + [True]:
            with tf.Graph().as_default() as scratch:
                entrances = self._import(input_shapes, told)
                functions = InnerGraphs(scratch)
                further = {} if is_last else loop_shapes(scratch, functions)
                if not further:
                    inferred = self._described(scratch, functions, entrances, input_shapes)
            dismantle_graph(scratch)
            if not further:
                break
            told |= further
        self._require_values(inferred.shapes, input_shapes)
        return inferred

    def _import(self, input_shapes: Sequence[Shape], told: Shapes) -> dict[str, Any]:
        """Import the graph into the current one, for one image. Returns the placeholders of that by their names in the model."""
        definition = tf.compat.v1.GraphDef.FromString(self._graph)
        tell_shapes(definition, told)
        entrances = {
            name: tf.compat.v1.placeholder(each.dtype, [1, *shape])
            for (name, each), shape in zip(self._entrances, input_shapes, strict=True)
        }
        try:
            tf.import_graph_def(definition, input_map=entrances, name="")
        except ValueError as error:
            raise cannot_run([(1, *shape) for shape in input_shapes]) from error
        return {node_of(name): tensor for name, tensor in entrances.items()}

    def _described(
        self,
        graph: Any,
        functions: InnerGraphs,
        entrances: Mapping[str, Any],
        input_shapes: Sequence[Shape],
    ) -> _Inferred:
        shapes = {
            name: self._of_one_image(tap, graph.get_tensor_by_name(name).shape)
            for name, tap in self._taps.items()
        }
        operations = [
            entrances[name].op if name in entrances else graph.get_operation_by_name(name)
            for name, _, _ in self.nodes
        ]
        longest = max((side or 0 for shape in input_shapes for side in shape), default=1)
        nbytes = bytes_of(operations, functions, longest)
        self._allow_for_data(nbytes, operations)
        return _Inferred(shapes, nbytes, costs_of(operations, functions))

    def _computed_from(self, sources: set[str]) -> list[int]:
        """The numbers of some nodes, and of all that are computed from them."""
        found = set(sources)
        for name, _, inputs in self.nodes if sources else ():
            if not found.isdisjoint(inputs):
                found.add(name)
        return [number for number, (name, _, _) in enumerate(self.nodes) if name in found]

    def _allow_for_data(self, nbytes: NodeBytes, operations: Sequence[Any]) -> None:
        """Count values whose size is a number in the input, and what is computed from them, with the most they may have."""
        for number in self._from_data_sized:
            if not all(each.shape.is_fully_defined() for each in operations[number].outputs):
                nbytes.made[number] = max(nbytes.made[number], self._data_sized_bytes)

    def _require_values(self, shapes: Mapping[str, Shape], input_shapes: Sequence[Shape]) -> None:
        """Check that no layer is left without values by small inputs: its mean would be NaN, and its maximum an error.

        Raises:
            InputMismatch: one is.
        """
        for tap in self._outputs if self._is_any_size else ():
            # A side of zero that is declared is the model's own.
            inferred = shapes[tap.tensor.name][-len(tap.shape) :]
            if any(found == 0 and side is None for side, found in zip(tap.shape, inferred, strict=False)):
                raise leaves_nothing(tap.address, [(1, *shape) for shape in input_shapes])

    def _of_one_image(self, tap: Tap, inferred: Any) -> Shape:
        """The shape of a tap: sizes that Keras declared, and inferred sizes where it declared none.

        In a batch of fixed size, all rows are copies of the image.
        """
        if inferred.rank is None:
            return tap.shape
        sizes = inferred.as_list()
        rows = sizes.pop(0) if tap.tensor.batched else None
        shape = tuple(
            found if known is None else known for known, found in zip(tap.shape, sizes, strict=True)
        )
        return shape if rows in self._single else (rows, *shape)
