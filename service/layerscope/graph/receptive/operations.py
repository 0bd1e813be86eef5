"""The operations of a graph as plain data: all that is needed to tell which places of its inputs each reads."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import tensorflow as tf
from tensorflow.python.client import pywrap_tf_session

Sizes = tuple[int, ...]
Known = TypeVar("Known")

_LARGEST_CONSTANT = 4_096
_WHOLE_NUMBERS = frozenset({tf.int32, tf.int64})


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation, in a run of one image of a certain size.

    Attributes:
        kind: its name in TensorFlow.
        sources: the names of the tensors it takes.
        takes: their shapes; None where only a run can tell.
        gives: the shapes of its outputs.
        constants: for each source, its value if it is few whole numbers that follow from the graph and the sizes.
        settings: its attributes.
    """

    kind: str
    sources: tuple[str, ...]
    takes: tuple[Sizes | None, ...]
    gives: tuple[Sizes | None, ...]
    constants: tuple[Any, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    def taken(self, number: int) -> Sizes:
        """The shape of a source.

        Raises:
            Unclear: only a run can tell.
        """
        return _clear(self.takes[number])

    def given(self, number: int) -> Sizes:
        """The shape of an output.

        Raises:
            Unclear: only a run can tell.
        """
        return _clear(self.gives[number])

    def constant(self, number: int) -> Any:
        """The value of a source.

        Raises:
            Unclear: it depends on the image, or is none of whole numbers.
        """
        return _clear(self.constants[number])


class Unclear(Exception):
    """Something about an operation that must be known is not."""


def _clear(value: Known | None) -> Known:
    if value is None:
        raise Unclear
    return value


def read_operations(graph: Any) -> dict[str, Operation]:
    """All operations of a graph by name, each after those that it takes from."""
    return {each.name: _operation(each) for each in graph.get_operations()}


def _operation(source: Any) -> Operation:
    return Operation(
        kind=source.type,
        sources=tuple(tensor.name for tensor in source.inputs),
        takes=tuple(map(_sizes, source.inputs)),
        gives=tuple(map(_sizes, source.outputs)),
        constants=tuple(map(_constant, source.inputs)),
        settings={name: _plain(value) for name, value in source.node_def.attr.items()},
    )


def _sizes(tensor: Any) -> Sizes | None:
    return tuple(tensor.shape.as_list()) if tensor.shape.is_fully_defined() else None


def _constant(tensor: Any) -> Any:
    elements = tensor.shape.num_elements()
    if tensor.dtype not in _WHOLE_NUMBERS or elements is None or elements > _LARGEST_CONSTANT:
        return None
    known = tf.get_static_value(tensor)
    return _folded(tensor) if known is None else known


def _folded(tensor: Any) -> Any:
    """What arithmetic on sizes comes to, as that of padding for inputs of any size."""
    graph = tensor.graph
    with graph._c_graph.get() as handle:  # noqa: SLF001 - there is no public way to what shape inference knows
        return pywrap_tf_session.TF_TryEvaluateConstant_wrapper(handle, tensor._as_tf_output())  # noqa: SLF001


def _plain(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "list":
        return [*value.list.i, *value.list.s]
    return getattr(value, kind) if kind in {"i", "f", "b", "s"} else None
