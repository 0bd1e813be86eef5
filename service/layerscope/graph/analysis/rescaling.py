"""Rescaling inside a model: what the operations between an input and the first weights do to its values.

A model that subtracts the mean of pixels or divides by 255 takes pixels as they are; one that computes `2 * input - 1` takes
values from 0 to 1. The input is followed through all operations that move values or rescale them by constants. What they
compute together is `scale * input + offset`, which tells the range of the input that they were written for.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from layerscope.graph.analysis.constants import Constants
from layerscope.graph.analysis.subgraph import needed_nodes, node_of
from layerscope.graph.prepared.prepared_model import PreparedModel

Floats = NDArray[np.float64]
Takes = Literal["pixels", "unit", "unknown"]

_MOVING = frozenset(
    [
        "Identity",
        "Cast",
        "StopGradient",
        "Snapshot",
        "PreventGradient",
        "EnsureShape",
        "PlaceholderWithDefault",
        "Reshape",
        "Squeeze",
        "ExpandDims",
        "Transpose",
        "StridedSlice",
        "Slice",
        "Pack",
        "ConcatV2",
        "Split",
        "SplitV",
        "Unpack",
        "ReverseV2",
        "Reverse",
        "GatherV2",
        "Pad",
        "PadV2",
        "MirrorPad",
        "ResizeBilinear",
        "ResizeBicubic",
        "ResizeNearestNeighbor",
        "ResizeArea",
        "ScaleAndTranslate",
        "CropAndResize",
        "MaxPool",
        "MaxPoolV2",
        "AvgPool",
        "SpaceToBatchND",
        "BatchToSpaceND",
        "SpaceToDepth",
    ]
)
"""Operations that keep the range of values."""

_RESCALING = frozenset(["Mul", "RealDiv", "Div", "Sub", "Add", "AddV2", "BiasAdd", "Neg"])

_SIZES_ONLY = frozenset(
    [
        "Shape",
        "ShapeN",
        "Size",
        "Rank",
        "ZerosLike",
        "OnesLike",
        "Max",
        "Min",
        "Mean",
        "Sum",
        "Prod",
        "All",
        "Any",
        "ArgMax",
        "ArgMin",
    ]
)
"""Operations whose results do not stand for the image: its size, or a figure of it."""

_UNTOLD = frozenset(
    [
        "Log",
        "Log1p",
        "Exp",
        "Expm1",
        "Pow",
        "Sqrt",
        "Rsqrt",
        "Square",
        "Reciprocal",
        "Inv",
        "FloorDiv",
        "FloorMod",
        "Mod",
        "DivNoNan",
        "Tanh",
        "Sigmoid",
        "RGBToHSV",
        "HSVToRGB",
        "AdjustContrastv2",
        "AdjustHue",
        "AdjustSaturation",
        "ClipByValue",
        "PartitionedCall",
        "StatefulPartitionedCall",
    ]
)
"""Operations that change the range in a way that is not followed."""

_WEIGHTED = frozenset(
    [
        "Conv2D",
        "Conv3D",
        "DepthwiseConv2dNative",
        "MatMul",
        "BatchMatMul",
        "BatchMatMulV2",
        "Einsum",
        "ReadVariableOp",
    ]
)

_UNIT_AT_MOST, _PIXELS_FROM = 2.0, 16.0
"""Bounds of the mean or deviation that a rescaling takes away: of values from 0 to 1 both are at most 1, of pixels about 100."""


@dataclass(frozen=True)
class Rescaling:
    """What a model does to an input before its first weights.

    Attributes:
        takes: The values that it was written for: `pixels` from 0 to 255, a `unit` range from 0 to 1, or `unknown`.
        found: The operations, in words.
    """

    takes: Takes
    found: str


@dataclass(frozen=True)
class _Way:
    """The operations from an input to a node: together, scale * input + offset."""

    node: str
    scale: Floats
    offset: Floats

    @property
    def is_plain(self) -> bool:
        return bool((self.scale == 1).all() and (self.offset == 0).all())


def find_rescaling(prepared: PreparedModel, index: int) -> Rescaling | None:
    """Follow an input to the first weights.

    Args:
        prepared: the model.
        index: the number of the input.

    Returns:
        What is done to its values; None if nothing.
    """
    constants = Constants(prepared)
    start = node_of(prepared.metadata.placeholders[index])
    ends, untold = _followed(start, _readers(constants.nodes, _outputs(prepared)), constants)
    if untold:
        return Rescaling("unknown", untold[0])
    found = {_takes(way): _text(way) for way in ends if not way.is_plain}
    if not found:
        return None
    is_one = len(found) == 1 and not any(way.is_plain for way in ends)
    takes, text = next(iter(found.items()))
    return Rescaling(takes if is_one else "unknown", text)


def _followed(
    start: str, readers: Mapping[str, Sequence[str]], constants: Constants
) -> tuple[list[_Way], list[str]]:
    """The ways from an input to where its rescaling ends, and in words the operations that cannot be followed."""
    nodes = constants.nodes
    waiting = [_Way(start, np.ones(1), np.zeros(1))]
    begun, ends, untold = {start}, [], []
    while waiting:
        way = waiting.pop()
        is_end = not readers[way.node]
        for name in readers[way.node]:
            node = nodes[name]
            if name in begun or node.op in _SIZES_ONLY:
                continue
            begun.add(name)
            if node.op in _MOVING:
                waiting.append(_Way(name, way.scale, way.offset))
            elif node.op in _RESCALING and (further := _rescaled(way, node, constants)) is not None:
                waiting.append(further)
            elif node.op in _UNTOLD or (node.op in _RESCALING and not _meets_weights(node, way, nodes)):
                untold.append(f"{node.op} ({name})")
            else:
                is_end = True
        if is_end:
            ends.append(way)
    return ends, untold


def _outputs(prepared: PreparedModel) -> list[str]:
    """The names of the tensors that are the outputs of a model."""
    addresses = {address for _, address in prepared.metadata.outputs}
    taps = (tap for call in prepared.metadata.calls for tap in call.taps)
    return [tap.tensor.name for tap in taps if tap.address in addresses]


def _readers(nodes: Mapping[str, Any], outputs: Sequence[str]) -> dict[str, list[str]]:
    """The nodes that read each node's values, of those that the outputs need: taps are read by nobody."""
    readers: dict[str, list[str]] = defaultdict(list)
    for name in needed_nodes(nodes, outputs):
        for tensor in dict.fromkeys(each for each in nodes[name].input if not each.startswith("^")):
            readers[node_of(tensor)].append(name)
    return readers


def _rescaled(way: _Way, node: Any, constants: Constants) -> _Way | None:
    """The way through an operation that rescales by a constant; None if the other operand is none."""
    if node.op == "Neg":
        return _Way(node.name, -way.scale, -way.offset)
    first, second = (node_of(each) for each in node.input[:2])
    is_first = first == way.node
    constant = constants.vector(second if is_first else first)
    if constant is None or first == second:
        return None
    scale, offset, other = _alike(way.scale, way.offset, constant)
    with np.errstate(all="ignore"):
        match node.op:
            case "Mul":
                scale, offset = scale * other, offset * other
            case "RealDiv" | "Div" if is_first:
                scale, offset = scale / other, offset / other
            case "Sub" if is_first:
                offset = offset - other
            case "Sub":
                scale, offset = -scale, other - offset
            case "Add" | "AddV2" | "BiasAdd":
                offset = offset + other
            case _:  # A constant divided by the input.
                return None
    return _Way(node.name, scale, offset)


def _alike(*vectors: Floats) -> list[Floats]:
    """Vectors of one length or 1; where the lengths differ, as after a slice of the channels, their means."""
    lengths = {len(each) for each in vectors} - {1}
    return list(vectors) if len(lengths) <= 1 else [each.mean(keepdims=True) for each in vectors]


def _meets_weights(node: Any, way: _Way, nodes: Mapping[str, Any]) -> bool:
    """Whether the other operand was computed with weights, as where a block of layers is skipped."""
    others = [each for each in node.input if node_of(each) != way.node]
    return any(nodes[name].op in _WEIGHTED for name in needed_nodes(nodes, others))


def _takes(way: _Way) -> Takes:
    with np.errstate(all="ignore"):
        deviation, mean = np.abs(1 / way.scale), np.abs(way.offset / way.scale)
        largest = float(np.maximum(deviation, mean).max())
    if not np.isfinite(largest):
        return "unknown"
    if largest <= _UNIT_AT_MOST:
        return "unit"
    return "pixels" if largest >= _PIXELS_FROM else "unknown"


def _text(way: _Way) -> str:
    scale = "" if (way.scale == 1).all() else f"{_numbers(way.scale)} * "
    return f"{scale}input" + ("" if (way.offset == 0).all() else f" + {_numbers(way.offset)}")


def _numbers(values: Sequence[float] | Floats) -> str:
    shown = [f"{value:.4g}" for value in values]
    return shown[0] if len(set(shown)) == 1 else f"({', '.join(shown)})"
