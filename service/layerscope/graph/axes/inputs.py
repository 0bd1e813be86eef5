"""Axes of a model's inputs: those of images are known, those of others follow from what reads them."""

from collections.abc import Callable

from layerscope.graph.axes.dimension import BATCH, CHANNELS, HEIGHT, UNKNOWN, WIDTH, Dimensions
from layerscope.graph.taps.tap import Input

LayoutOf = Callable[[str], str | None]
"""Tells the layout, `nhwc` or `nchw`, that is declared for an input by name."""

_COLORS = {1: "grey", 3: "rgb", 4: "rgba"}


def image_fields(each: Input) -> dict[str, object] | None:
    """Size, colour and layout that images must have to fit an input; None if it is no input for images."""
    if len(each.shape) != 3 or not each.dtype.startswith(("float", "bfloat", "uint8")):
        return None
    *rows, last = each.shape
    if last in _COLORS:
        layout, channels, sides = "nhwc", last, rows
    elif each.shape[0] in _COLORS:
        layout, channels, sides = "nchw", each.shape[0], list(each.shape[1:])
    else:
        return None
    size = None if None in sides else sides
    return {"size": size, "color": _COLORS[channels], "layout": layout}


def input_dimensions(each: Input, declared: str | None) -> Dimensions:
    """The axes of an input, batch axis included.

    Args:
        each: the input.
        declared: the layout that is declared for it; None if there is none.
    """
    fields = image_fields(each)
    if fields is not None:
        layout = declared or fields["layout"]
        return (BATCH, CHANNELS, HEIGHT, WIDTH) if layout == "nchw" else (BATCH, HEIGHT, WIDTH, CHANNELS)
    return BATCH, *(UNKNOWN,) * len(each.shape)
