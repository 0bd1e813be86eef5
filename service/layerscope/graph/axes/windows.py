"""Rules for operations that slide a window: convolution, pooling and resizing. They tell which axes are those of a map."""

from collections.abc import Callable, Mapping

from layerscope.graph.axes.dimension import (
    BATCH,
    CHANNELS,
    HEIGHT,
    PLACES,
    SINGLE,
    TIME,
    UNKNOWN,
    WIDTH,
    Dimension,
    Dimensions,
)
from layerscope.graph.axes.step import Step

_KEPT = PLACES | {"heads", "scattered", "single"}
_MAP, _VOLUME = (HEIGHT, WIDTH), (Dimension("depth"), HEIGHT, WIDTH)


def window_axes(step: Step) -> Dimensions:
    """The axes that an operation takes its input to have, where nothing else is known of them."""
    own = step.dimensions(_data(step))
    is_first = step.node.attr["data_format"].s.startswith(b"NC")
    places = range(2, len(own)) if is_first else range(1, len(own) - 1)
    names: Dimensions = _VOLUME if len(places) == len(_VOLUME) else _MAP
    inserted = sum(own[place] == SINGLE for place in places)
    if inserted and inserted < len(places):
        # A convolution of one axis is computed as one of two, of which one is inserted.
        names = (TIME,) * len(places)
    found = [BATCH, *(UNKNOWN,) * (len(own) - 1)]
    found[1 if is_first else -1] = CHANNELS
    for place, name in zip(places, names, strict=True):
        is_kept = own[place].name in _KEPT and inserted < len(places)
        found[place] = own[place] if is_kept else name
    return tuple(found)


def _data(step: Step) -> int:
    """The number of the input that the window slides over."""
    return 2 if "BackpropInput" in step.op else 0


def _slide(step: Step) -> Dimensions:
    """Places that stay as many as they were are the same places."""
    own, found = step.dimensions(_data(step)), window_axes(step)
    before, given = step.shape(_data(step)), step.given()
    if len(given) != len(found):
        return tuple(each.resized() for each in found)
    kept = zip(found, before, given, strict=True)
    return (own[0], *[each if old == new else each.resized() for each, old, new in kept][1:])


WINDOWED: Mapping[str, Callable[[Step], Dimensions]] = dict.fromkeys(
    (
        *(
            "AvgPool",
            "AvgPool3D",
            "Conv2D",
            "Conv2DBackpropInput",
            "Conv3D",
            "Conv3DBackpropInputV2",
            "DepthToSpace",
        ),
        *("DepthwiseConv2dNative", "Dilation2D", "ExtractImagePatches", "ImageProjectiveTransformV2"),
        *("ImageProjectiveTransformV3", "MaxPool", "MaxPool3D", "MaxPoolV2", "ResizeArea", "ResizeBicubic"),
        *("ResizeBilinear", "ResizeNearestNeighbor", "ScaleAndTranslate", "SpaceToDepth"),
    ),
    _slide,
)
"""By the type of the operation."""
