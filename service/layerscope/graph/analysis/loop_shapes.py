"""Shapes behind loops, such as those of the outputs and states of a recurrent layer: TensorFlow infers none with a free batch size."""

from collections.abc import Mapping, Sequence
from typing import Any

from layerscope.graph.analysis.inner_graphs import LOOPS, InnerGraphs, constant_in, keeps_shapes, source_of
from layerscope.graph.analysis.known_values import known_value

Shapes = Mapping[str, Sequence[Any]]
"""By the name of a loop: the shapes of its results; of what makes a tensor of the list that a loop filled: the sides of the tensor."""


def loop_shapes(graph: Any, functions: InnerGraphs) -> dict[str, Sequence[Any]]:
    """The shapes that follow from others, and that TensorFlow has not inferred.

    Args:
        graph: in which shapes were inferred.
        functions: of that graph.
    """
    found: dict[str, Sequence[Any]] = {}
    for operation in graph.get_operations():
        if all(each.shape.is_fully_defined() for each in operation.outputs):
            continue
        if operation.type == "TensorListStack":
            length = _length(operation.inputs[0], functions)
            element = _element(operation.inputs[0], functions)
            if length is not None and element is not None:
                found[operation.name] = [length, *element]
        elif operation.type in LOOPS and keeps_shapes(functions.called_by(operation)[0]):
            shapes = [each.shape for each in operation.inputs]
            if any(
                shape.is_fully_defined() and not result.shape.is_fully_defined()
                for shape, result in zip(shapes, operation.outputs, strict=True)
            ):
                found[operation.name] = shapes
    return found


def tell_shapes(definition: Any, shapes: Shapes) -> None:
    """Change a GraphDef so that TensorFlow infers these shapes from it."""
    for node in [each for each in definition.node if each.name in shapes]:
        if node.op in LOOPS:
            node.attr["output_shapes"].list.ClearField("shape")
            node.attr["output_shapes"].list.shape.extend(each.as_proto() for each in shapes[node.name])
        else:
            length, *element = shapes[node.name]
            node.attr["num_elements"].i = length
            node.input[1] = constant_in(definition.node, f"{node.name}/element", element)


def _length(handle: Any, functions: InnerGraphs) -> int | None:
    origin = source_of(handle)
    if origin.op.type == "TensorListReserve":
        length = known_value(origin.op.inputs[1], {})
        return None if length is None else int(length)
    if origin.op.type not in LOOPS:
        return None
    start, (body,) = origin.op.inputs[origin.value_index], functions.called_by(origin.op)
    writes, first = _written(body.outputs[origin.value_index])
    return _length(start, functions) if writes and first is body.inputs[origin.value_index] else None


def _element(handle: Any, functions: InnerGraphs) -> list[int] | None:
    """The shape of what the last loop writes into a list."""
    origin = source_of(handle)
    if origin.op.type not in LOOPS:
        return None
    (body,) = functions.called_by(origin.op)
    writes, _ = _written(body.outputs[origin.value_index])
    shapes = [each.inputs[2].shape for each in writes]
    is_known = keeps_shapes(body) and all(each.is_fully_defined() and each == shapes[0] for each in shapes)
    return shapes[0].as_list() if shapes and is_known else None


def _written(handle: Any) -> tuple[list[Any], Any]:
    """The operations that write into a list without making it longer, and the list before them."""
    writes, handle = [], source_of(handle)
    while handle.op.type == "TensorListSetItem" and not handle.op.get_attr("resize_if_index_out_of_bounds"):
        writes.append(handle.op)
        handle = source_of(handle.op.inputs[0])
    return writes, handle
