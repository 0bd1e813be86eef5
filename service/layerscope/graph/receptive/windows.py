"""The windows that convolutions and poolings move over their inputs."""

from collections.abc import Callable, Mapping
from typing import Any

from layerscope.graph.analysis.subgraph import node_of
from layerscope.graph.receptive.operations import Operation, Sizes
from layerscope.graph.receptive.reach import Window
from layerscope.graph.rewrites.same_padding import same_padding

CONVOLUTIONS = frozenset({"Conv2D", "Conv3D", "DepthwiseConv2dNative"})
TRANSPOSED = frozenset({"Conv2DBackpropInput", "Conv3DBackpropInputV2", "DepthwiseConv2dNativeBackpropInput"})
POOLINGS = frozenset({"AvgPool", "AvgPool3D", "MaxPool", "MaxPool3D", "ExtractImagePatches"})

Windows = Mapping[int, Window]
"""Windows by the axis that they move along."""

_BETWEEN = frozenset({"BiasAdd", "ExpandDims", "Identity", "Squeeze"})


def windows_of(operation: Operation) -> Windows | None:
    """The windows of an operation along the axes of its input, or of its output if it is a transposed convolution.

    None if they are not known, as where a size depends on the run.
    """
    whole = operation.gives[0] if operation.kind in TRANSPOSED else operation.takes[0]
    if whole is None:
        return None
    axes = _spatial_axes(operation, len(whole))
    kernel = _kernel(operation, axes)
    if kernel is None:
        return None
    found = {axis: _window(operation, axis, size, whole) for axis, size in zip(axes, kernel, strict=True)}
    known = {axis: window for axis, window in found.items() if window is not None}
    return known if len(known) == len(found) else None


def undivided(operation: Operation, operations: Mapping[str, Operation]) -> tuple[Operation, Windows] | None:
    """The dilated convolution that ends in a BatchToSpaceND, with windows over the tensor before the division.

    TensorFlow has no kernel for some dilated convolutions. It distributes the places over several images
    (SpaceToBatchND), convolves these without dilation, and puts them together again (BatchToSpaceND). Followed one by
    one, the three would seem to mix images.

    Returns:
        The SpaceToBatchND, whose input is what the convolution reads, and the windows; None if it is nothing of
        the kind.
    """
    inside = _before(operation, operations, lambda each: each.kind in CONVOLUTIONS)
    divided = inside and _before(inside, operations, lambda each: each.kind == "SpaceToBatchND")
    if inside is None or divided is None or divided.takes[0] is None or inside.takes[0] is None:
        return None
    windows = windows_of(inside)
    block, cropped, padded = operation.constants[1], operation.constants[2], divided.constants[2]
    if windows is None or block is None or cropped is None or padded is None:
        return None
    if any(window.stride > 1 or window.dilation > 1 for window in windows.values()):
        return None
    added = len(inside.takes[0]) - len(divided.takes[0])
    dilated = {}
    for axis, window in windows.items():
        number = axis - added - 1
        if 0 <= number < len(block):
            before = int(block[number]) * window.before + int(padded[number][0] - cropped[number][0])
            dilated[axis - added] = Window(window.kernel, dilation=int(block[number]), before=before)
    return divided, dilated


def _before(
    operation: Operation, operations: Mapping[str, Operation], wanted: Callable[[Operation], bool]
) -> Operation | None:
    """The nearest wanted operation before another one, if only biases and changes of rank are between."""
    while operation.sources:
        operation = operations[node_of(operation.sources[0])]
        if wanted(operation):
            return operation
        if operation.kind not in _BETWEEN:
            return None
    return None


def _spatial_axes(operation: Operation, rank: int) -> range:
    channels_first = operation.settings.get("data_format", b"NHWC").startswith(b"NC")
    return range(2, rank) if channels_first else range(1, rank - 1)


def _kernel(operation: Operation, axes: range) -> list[int] | None:
    declared = operation.settings.get("ksize") or operation.settings.get("ksizes")
    if declared:
        return [int(declared[axis]) for axis in axes]
    shape = operation.takes[1]
    return None if shape is None else list(shape[: len(axes)])


def _window(operation: Operation, axis: int, kernel: int, whole: Sizes) -> Window | None:
    settings = operation.settings
    stride = int(settings["strides"][axis])
    dilations = settings.get("dilations") or settings.get("rates")
    plain = Window(kernel, stride, int(dilations[axis]) if dilations else 1)
    before = _padding(settings, axis, plain, whole[axis])
    return None if before is None else Window(kernel, stride, plain.dilation, before)


def _padding(settings: Mapping[str, Any], axis: int, window: Window, size: int) -> int | None:
    """The number of places of padding before the first place; None if it is unknown."""
    match settings.get("padding"), settings.get("explicit_paddings"):
        case b"VALID", _:
            return 0
        case b"SAME", _:
            return same_padding(size, window.extent, window.stride)[0]
        case b"EXPLICIT", [*paddings]:
            return int(paddings[2 * axis])
    return None
