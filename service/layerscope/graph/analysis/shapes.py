"""Shapes of all taps for one image, inferred by TensorFlow from the graph alone."""

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
from cachetools import LRUCache
from tensorflow.python.framework.ops import dismantle_graph

from layerscope.graph.analysis.inner_graphs import bytes_of
from layerscope.graph.analysis.node_memory import NodeBytes
from layerscope.graph.analysis.subgraph import data_inputs, node_of
from layerscope.graph.prepared.prepared_model import PreparedModel
from layerscope.graph.taps.shape_errors import cannot_run, leaves_nothing
from layerscope.graph.taps.tap import Shape, Tap


class TapShapes:
    """The shapes of all taps of one model, for inputs of any size; those of the last `sizes` sizes are kept.

    Attributes:
        nodes: name, operation and data inputs of the nodes of the graph.
    """

    def __init__(self, prepared: PreparedModel, *, sizes: int) -> None:
        metadata = prepared.metadata
        self._graph = prepared.graph
        self._entrances = list(zip(metadata.placeholders, metadata.inputs, strict=True))
        self._taps = {tap.tensor.name: tap for call in metadata.calls for tap in call.taps}
        self._outputs = [tap for call in metadata.calls for tap in call.taps if tap.place.site == "output"]
        nodes = tf.compat.v1.GraphDef.FromString(self._graph).node
        self.nodes = [(node.name, node.op, data_inputs(node)) for node in nodes]
        self._known: LRUCache[tuple[Shape, ...], tuple[dict[str, Shape], NodeBytes]] = LRUCache(sizes)
        self._lock = threading.Lock()
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
        return self._inferred(input_shapes)[0]

    def nbytes(self, input_shapes: Sequence[Shape]) -> NodeBytes:
        """The bytes that all nodes of the graph take for one image. Arguments and errors as for `on`."""
        return self._inferred(input_shapes)[1]

    def _inferred(self, input_shapes: Sequence[Shape]) -> tuple[dict[str, Shape], NodeBytes]:
        key = tuple(map(tuple, input_shapes))
        with self._lock:
            known = self._known.get(key)
        if known is None:
            known = self._infer(key)
            with self._lock:
                known = self._known.setdefault(key, known)
        return known

    def _infer(self, input_shapes: Sequence[Shape]) -> tuple[dict[str, Shape], NodeBytes]:
        """Import the graph for one image of these sizes: TensorFlow works out every shape that it can on the way.

        Raises:
            InputMismatch: the model cannot run on inputs of these sizes.
        """
        definition = tf.compat.v1.GraphDef.FromString(self._graph)
        with tf.Graph().as_default() as scratch:
            replaced = {
                name: tf.compat.v1.placeholder(each.dtype, [1, *shape])
                for (name, each), shape in zip(self._entrances, input_shapes, strict=True)
            }
            try:
                tf.import_graph_def(definition, input_map=replaced, name="")
            except ValueError as error:
                raise cannot_run([(1, *shape) for shape in input_shapes]) from error
            shapes = {
                name: self._of_one_image(tap, scratch.get_tensor_by_name(name).shape)
                for name, tap in self._taps.items()
            }
            longest = max((side or 0 for shape in input_shapes for side in shape), default=1)
            entrances = {node_of(name): tensor for name, tensor in replaced.items()}
            nbytes = bytes_of(scratch, [name for name, _, _ in self.nodes], longest, entrances)
        dismantle_graph(scratch)
        self._require_values(shapes, input_shapes)
        return shapes, nbytes

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
