"""Which tensor of a `.tflite` file has the value of which layer of the Keras model that it was converted from.

The name of a tensor lists the operations that were fused into it. Their order tells nothing: `dense/MatMul;dense/Relu` is what
the Relu gives. The value is that of the operation which comes last in the model's own graph. It is taken for a layer's only
if the file's operator ends in the same activation, and the shape is the same.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from layerscope.errors import ModelRefused
from layerscope.graph.analysis.subgraph import node_of
from layerscope.graph.lite.lite_graph import LiteGraph, LiteTensor
from layerscope.graph.taps.tap import Shape, Tap

Nodes = Mapping[str, Any]
"""The operations of the model's graph by name, each behind those that it computes from."""

_ACTIVATIONS = {"Relu": "RELU", "Relu6": "RELU6", "Tanh": "TANH"}
"""Operations that may be fused into the operator before them, by what they are called in a file."""

_UNCHANGED = frozenset({"Identity", "StopGradient"})
_COPIES = frozenset({"QUANTIZE", "DEQUANTIZE"})
"""Operators that give again what has a tensor already."""

_CALLS = re.compile(r"^(?:(?:Stateful)?PartitionedCall(?:_\d+)?/)+")
_NUMBERED = re.compile(r"output_(\d+)")
_EXPORTED = re.compile(r"^serving_default_|:\d+$")


def match(graph: LiteGraph, taps: Iterable[Tap], nodes: Nodes) -> dict[Tap, LiteTensor]:
    """The tensor of each tap that has one.

    Args:
        graph: of the file.
        taps: of the model.
        nodes: of the model.

    Raises:
        ModelRefused: the file names no operation of the model.
    """
    operations = _Operations(graph, nodes)
    if not operations.are_known:
        raise ModelRefused(
            "No tensor of the file is named like an operation of the model: it was converted from another model."
        )
    named = [(name, tensor) for tensor in graph.tensors if (name := operations.of(tensor)) is not None]
    counts = Counter(name for name, _ in named)
    found = {name: tensor for name, tensor in named if counts[name] == 1}
    pairs = ((tap, found.get(_source(tap.tensor.name, nodes) or "")) for tap in taps)
    return {tap: tensor for tap, tensor in pairs if tensor is not None and fits(tensor, tap.shape)}


def pair(
    called: Sequence[tuple[str, int]], expected: Sequence[tuple[str, Shape]], graph: LiteGraph, what: str
) -> list[LiteTensor]:
    """The tensors of a file's inputs or outputs, in the order of the model's.

    Args:
        called: the name and the tensor of each in the file.
        expected: the name and the shape of each in the model.
        graph: of the file.
        what: `inputs` or `outputs`.

    Raises:
        ModelRefused: they are not those of the model, or nothing tells which is which.
    """
    tensors = {_EXPORTED.sub("", name): graph.tensor(index) for name, index in called}
    order = _by_name(tensors, expected) or _by_shape(list(tensors.values()), [shape for _, shape in expected])
    fitting = [tensor for tensor, (_, shape) in zip(order, expected, strict=False) if fits(tensor, shape)]
    if len(called) != len(expected) or len(fitting) != len(expected):
        raise ModelRefused(
            f"The {what} of the file are not those of the model: it has {_listed(tensors.items())}, and the model"
            f" {', '.join(f'{name} {_sizes((1, *shape))}' for name, shape in expected)}. Convert this model, for one image"
            " at a time.",
        )
    return fitting


def has_sizes(sizes: Sequence[int], shape: Shape) -> bool:
    """Whether values are those of one image, of a shape without batch axis."""
    wanted = (1, *shape)
    return len(sizes) == len(wanted) and all(
        each in {None, size} for each, size in zip(wanted, sizes, strict=True)
    )


def fits(tensor: LiteTensor, shape: Shape) -> bool:
    """Whether a tensor can have the values of one image, of a shape without batch axis."""
    sizes = (1, *shape)
    return (
        bool(tensor.dtype)
        and len(sizes) == len(tensor.shape)
        and all(
            wanted is None or is_free or size == wanted
            for wanted, size, is_free in zip(sizes, tensor.shape, tensor.free, strict=True)
        )
    )


class _Operations:
    """The operations of the model that the names of tensors tell.

    Args:
        graph: of the file.
        nodes: of the model.
    """

    def __init__(self, graph: LiteGraph, nodes: Nodes) -> None:
        counts = Counter(map(_inlined, nodes))
        self._nodes = {name: node for each, node in nodes.items() if counts[name := _inlined(each)] == 1}
        self._places = {name: place for place, name in enumerate(self._nodes)}
        self._names = {*graph.constants, *(tensor.name for tensor in graph.tensors)}

    @property
    def are_known(self) -> bool:
        """Whether any tensor is named like an operation of the model."""
        return any(_inlined(each) in self._places for name in self._names for each in name.split(";"))

    def of(self, tensor: LiteTensor) -> str | None:
        """The operation whose value a tensor has; None if nothing tells."""
        if tensor.operator in _COPIES:
            return None
        *names, last = map(_inlined, tensor.name.split(";"))
        plain = _inlined(self._without_number(tensor.name).rpartition(";")[2])
        if plain != last and {plain, last} <= self._places.keys():
            return None
        known = [name for name in (*names, last, plain) if name in self._places]
        name = max(known, key=self._places.__getitem__, default=None)
        return name if name is not None and self._is_last(self._nodes[name].op, tensor) else None

    def _without_number(self, name: str) -> str:
        """A name without the number that sets it apart from another tensor of that name, if it has one."""
        for digits in range(1, len(name) - len(name.rstrip("0123456789")) + 1):
            if name[:-digits] in self._names:
                return name[:-digits]
        return name

    def _is_last(self, operation: str, tensor: LiteTensor) -> bool:
        """Whether a tensor's operator ends with an operation, as far as activations tell."""
        activation = _ACTIVATIONS.get(operation, "")
        return activation == (tensor.activation or (tensor.operator if activation else ""))


def _by_name(tensors: Mapping[str, LiteTensor], expected: Sequence[tuple[str, Shape]]) -> list[LiteTensor]:
    names = [name for name, _ in expected]
    if set(names) == set(tensors):
        return [tensors[name] for name in names]
    numbers = {int(found[1]): name for name in tensors if (found := _NUMBERED.fullmatch(name))}
    if sorted(numbers) == list(range(len(names))):
        return [tensors[numbers[number]] for number in range(len(names))]
    return []


def _by_shape(tensors: Sequence[LiteTensor], shapes: Sequence[Shape]) -> list[LiteTensor]:
    found = [[tensor for tensor in tensors if fits(tensor, shape)] for shape in shapes]
    return [each[0] for each in found] if all(len(each) == 1 for each in found) else []


def _source(tensor: str, nodes: Nodes) -> str | None:
    """The operation whose first value a tensor of the model's graph has; None for another value of it."""
    name = node_of(tensor)
    if tensor not in {name, f"{name}:0"}:
        return None
    while nodes[name].op in _UNCHANGED:
        name = node_of(nodes[name].input[0])
    return _inlined(name)


def _inlined(name: str) -> str:
    """The name of an operation without those of the calls that it was inlined from, as in the graph of a SavedModel."""
    return _CALLS.sub("", name)


def _listed(tensors: Iterable[tuple[str, LiteTensor]]) -> str:
    return ", ".join(f"{name[:60]} {_sizes(tensor.shape)}" for name, tensor in tensors)


def _sizes(shape: Shape) -> str:
    return "x".join("?" if size is None else str(size) for size in shape)
