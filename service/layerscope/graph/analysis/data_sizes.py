"""Sizes that depend on data: results whose size is a number in the input of the model, such as one bin for each value.

Nothing but the numbers bounds such a result: an input of a hundred bytes can ask for gigabytes. Sizes that depend only on
the shape of the input are known before a run.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from layerscope.errors import ModelRefused
from layerscope.graph.analysis.subgraph import node_of
from layerscope.graph.prepared.prepared_model import DataSizedNode

_SHAPES = frozenset({"Rank", "Shape", "ShapeN", "Size", "ZerosLike", "OnesLike"})
"""Operations whose result depends only on the shape of what they read."""

_RESIZING = ("ResizeArea", "ResizeBicubic", "ResizeBilinear", "ResizeNearestNeighbor", "ScaleAndTranslate")
_SEGMENTS = ("Max", "Mean", "Min", "Prod", "Sum")

SIZE_INPUTS: Mapping[str, Sequence[int]] = {
    "Bincount": (1,),
    "BroadcastTo": (1,),
    "Conv2DBackpropInput": (0,),
    "DenseBincount": (1,),
    "DynamicStitch": (0,),
    "Fill": (0,),
    "LinSpace": (2,),
    "MirrorPad": (1,),
    "OneHot": (1,),
    "Pad": (1,),
    "PadV2": (1,),
    "RaggedBincount": (2,),
    "RandomStandardNormal": (0,),
    "RandomUniform": (0,),
    "Range": (0, 1, 2),
    "ScatterNd": (2,),
    "SparseToDense": (1,),
    "TensorListReserve": (1,),
    "Tile": (1,),
    **dict.fromkeys(_RESIZING, (1,)),
    **{f"Segment{each}": (1,) for each in _SEGMENTS},
    **{f"Segment{each}V2": (2,) for each in _SEGMENTS},
    **{f"UnsortedSegment{each}": (2,) for each in _SEGMENTS},
}
"""The inputs of operations that say how large the result is. Operations with at most as many values as they read are not here."""


_SMALL = 2**20
"""The greatest constant that bounds a size: where the smaller of the two is taken, the size cannot be more."""


def data_sized_nodes(graph: Any) -> list[DataSizedNode]:
    """The nodes of a GraphDef, those inside of its functions included, whose size is a number in the input."""
    functions = {each.signature.name: each for each in graph.library.function}
    entrances = {node.name for node in graph.node if node.op == "Placeholder"}
    return list(dict.fromkeys(_Search(functions).found(graph.node, entrances)[0]))


def require_known_sizes(graph: Any) -> None:
    """Check that no value has a size that is a number in the input: no limit could be checked before the run.

    Raises:
        ModelRefused: one has.
    """
    found = data_sized_nodes(graph)
    if found:
        name = "/".join(found[0].path)
        raise ModelRefused(
            f"The size of {name} is a number in the model's input, which nothing bounds: give the layer a fixed number"
            " of bins, segments or steps.",
            node=name,
        )


class _Search:
    """Follows the values of inputs through a graph and the functions that it calls."""

    def __init__(self, functions: Mapping[str, Any]) -> None:
        self._functions = functions

    def found(
        self, nodes: Iterable[Any], entrances: Collection[str], function: str | None = None
    ) -> tuple[list[DataSizedNode], set[str]]:
        """The nodes that are sized by the values of some entrances, and all whose values depend on them."""
        found: list[DataSizedNode] = []
        dependent = set(entrances)
        waiting, before = list(nodes), -1
        bounded = _bounded(waiting)
        # Again, as long as there is more to find: the nodes of a function come in any order.
        while len(dependent) > before:
            before = len(dependent)
            for node in waiting:
                names = [node_of(each) for each in node.input if not each.startswith("^")]
                reads = [name in dependent for name in names]
                if not any(reads) or node.op in _SHAPES:
                    continue
                dependent.add(node.name)
                sizes = [names[each] for each in SIZE_INPUTS.get(node.op, ()) if each < len(names)]
                if any(name in dependent and name not in bounded for name in sizes):
                    found.append(DataSizedNode((node.name,), function))
                for called in _called(node):
                    found += self._inside(self._functions.get(called), node, reads)
        return found, dependent

    def _inside(self, function: Any, node: Any, reads: Sequence[bool]) -> list[DataSizedNode]:
        if function is None:
            return []
        given = reads[1:] if node.op.endswith("If") or node.op.endswith("Case") else reads
        arguments = [each.name for each in function.signature.input_arg]
        entrances = {name for name, is_dependent in zip(arguments, given, strict=False) if is_dependent}
        results = [node_of(function.ret[each.name]) for each in function.signature.output_arg]
        while True:
            found, dependent = self.found(function.node_def, entrances, function.signature.name)
            # What one step of a loop gives is what the next one takes.
            again = {name for name, result in zip(arguments, results, strict=False) if result in dependent}
            if not node.op.endswith("While") or again <= entrances:
                return [DataSizedNode((node.name, *each.path), each.function) for each in found]
            entrances |= again


def _bounded(nodes: Sequence[Any]) -> set[str]:
    """The names of the nodes that are at most a small constant."""
    small = {
        node.name
        for node in nodes
        if node.op == "Const"
        and tf.as_dtype(node.attr["dtype"].type).is_integer
        and np.all(tf.make_ndarray(node.attr["value"].tensor) <= _SMALL)
    }
    return {node.name for node in nodes if node.op == "Minimum" and small & set(map(node_of, node.input))}


def _called(node: Any) -> list[str]:
    single = [each.func.name for each in node.attr.values() if each.func.name]
    return single + [each.name for attribute in node.attr.values() for each in attribute.list.func]
