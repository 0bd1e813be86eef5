"""Bounds of values whose size is a number in the input of the model, see `layerscope.graph.analysis.data_sizes`.

No limit can be checked before a run that computes such a number. So the graph itself checks it, before the operation that
would allocate the value.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf
from tensorflow.python.framework import op_def_registry

from layerscope.errors import AnswerTooLarge
from layerscope.graph.analysis.data_sizes import SIZE_INPUTS
from layerscope.graph.prepared.prepared_model import DataSizedNode

_MARK = "layerscope/size"
_FAILED = re.compile(rf"\[{_MARK}\] \[(\d+)\]")
_WAYS = ("send smaller numbers", "give the layer of the model a fixed number of bins, segments or steps")


def with_bounded_sizes(graph: bytes, nodes: Sequence[DataSizedNode], most_bytes: int) -> bytes:
    """A serialized GraphDef in which nodes refuse to run if their values were larger than `most_bytes`."""
    if not nodes:
        return graph
    definition = tf.compat.v1.GraphDef.FromString(graph)
    functions = {each.signature.name: each.node_def for each in definition.library.function}
    for function, name in {(node.function, node.path[-1]): None for node in nodes}:
        inside = definition.node if function is None else functions[function]
        (node,) = (each for each in inside if each.name == name)
        checks = _checks(node, most_bytes, in_function=function is not None)
        inside.extend(checks)
        node.input.append(f"^{checks[-1].name}")
    return bytes(definition.SerializeToString())


def size_refusal(error: Exception) -> AnswerTooLarge | None:
    """The refusal that an error of a run stands for; None if it is another error."""
    failed = _FAILED.search(str(error))
    if failed is None:
        return None
    most_bytes = int(failed[1])
    return AnswerTooLarge(
        f"The numbers in this input ask for a value of more than {most_bytes:,} bytes inside of the model",
        ways=_WAYS,
        limit=most_bytes,
    )


def _checks(node: Any, most_bytes: int, *, in_function: bool) -> list[Any]:
    """The nodes that check the size of the values of a node, the assertion last."""
    dtypes = _input_dtypes(node)
    with tf.Graph().as_default() as graph:
        inputs = [tf.compat.v1.placeholder(dtype) for dtype in dtypes]
        values = _values(node.op, inputs)
        # float64: the product of some numbers of an input can be more than int64 holds. Not a number is no size, either.
        tf.raw_ops.Assert(
            condition=values * _widest(node) <= most_bytes,
            data=[tf.constant(_MARK), tf.constant(most_bytes, tf.int64)],
            name=_MARK,
        )
        outputs = {each.name: each.op_def.output_arg for each in graph.get_operations()}
        made = [each for each in graph.as_graph_def().node if each.op != "Placeholder"]
    replaced = {tensor.op.name: name for tensor, name in zip(inputs, node.input, strict=False)}
    for each in made:
        named = [
            replaced[read] if read in replaced else _name(node, read, outputs, in_function)
            for read in each.input
        ]
        each.name = f"{node.name}/{each.name}"
        del each.input[:]
        each.input.extend(named)
    return made


def _name(node: Any, tensor: str, outputs: Mapping[str, Any], in_function: bool) -> str:
    """The name of a tensor of the checks. In functions, it names the output of the operation (`add:z:0`)."""
    name, _, number = tensor.partition(":")
    if not in_function:
        return f"{node.name}/{tensor}"
    return f"{node.name}/{name}:{outputs[name][int(number or 0)].name}:0"


def _input_dtypes(node: Any) -> list[int]:
    found: list[int] = []
    for each in op_def_registry.get(node.op).input_arg:
        count = node.attr[each.number_attr].i if each.number_attr else 1
        found += [each.type or node.attr[each.type_attr].type] * count
    return found


def _widest(node: Any) -> int:
    """The bytes of one value of a node."""
    arguments = op_def_registry.get(node.op).output_arg
    types = [tf.as_dtype(each.type or node.attr[each.type_attr].type or tf.float64) for each in arguments]
    return max(each.size or 1 for each in types)


def _values(operation: str, inputs: Sequence[Any]) -> Any:
    """How many values the result of an operation has, float64."""
    sizes = [tf.cast(inputs[each], tf.float64) for each in SIZE_INPUTS[operation]]
    count = _COUNTS.get(operation)
    if count is not None:
        return count(sizes, inputs)
    if operation.startswith("Resize") or operation == "ScaleAndTranslate":
        return _product(sizes) * _size(inputs[0]) / _product(tf.shape(inputs[0])[1:3])
    if "Segment" in operation:
        segments = (
            sizes[0]
            if operation.startswith("Unsorted") or operation.endswith("V2")
            else tf.reduce_max(sizes[0]) + 1
        )
        return segments * _size(inputs[0]) / _size(inputs[1])
    # The size is the shape of the result, or the length of a list.
    return _product(sizes)


def _size(tensor: Any) -> Any:
    return tf.cast(tf.size(tensor), tf.float64)


def _product(numbers: Any) -> Any:
    return tf.reduce_prod(tf.cast(numbers, tf.float64))


_COUNTS: Mapping[str, Callable[[Sequence[Any], Sequence[Any]], Any]] = {
    "Bincount": lambda sizes, _: sizes[0],
    "DenseBincount": lambda sizes, inputs: sizes[0] * _product(tf.shape(inputs[0])[:-1]),
    "DynamicStitch": lambda sizes, inputs: (
        (tf.reduce_max(sizes[0]) + 1) * _size(inputs[len(inputs) // 2]) / _size(inputs[0])
    ),
    "LinSpace": lambda sizes, _: sizes[0],
    "OneHot": lambda sizes, inputs: sizes[0] * _size(inputs[0]),
    **{
        name: lambda sizes, inputs: _product(
            tf.cast(tf.shape(inputs[0]), tf.float64) + tf.reduce_sum(sizes[0], 1)
        )
        for name in ("MirrorPad", "Pad", "PadV2")
    },
    "RaggedBincount": lambda sizes, inputs: sizes[0] * _size(inputs[0]),
    "Range": lambda sizes, _: tf.abs((sizes[1] - sizes[0]) / sizes[2]),
    "Tile": lambda sizes, inputs: _product(sizes) * _size(inputs[0]),
}
"""Where the size is not the shape of the result: a function of the numbers that are the size, and of all inputs."""
