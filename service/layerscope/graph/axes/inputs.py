"""Axes of a model's inputs: those of images are known, those of others follow from what reads them."""

from collections.abc import Callable, Sequence

from layerscope.graph.axes.dimension import BATCH, CHANNELS, HEIGHT, UNKNOWN, WIDTH, Dimensions
from layerscope.graph.taps.tap import Input

LayoutOf = Callable[[str], str | None]
"""Tells the layout, `nhwc` or `nchw`, that is declared for an input by name."""

_COLORS = {1: "grey", 3: "rgb", 4: "rgba"}
_LAYOUTS: dict[tuple[str, ...], str] = {
    ("height", "width", "channels"): "nhwc",
    ("channels", "height", "width"): "nchw",
}


def image_fields(
    each: Input, layout: str | None = None, axes: Sequence[str] | None = None
) -> dict[str, object] | None:
    """Size, colour and layout that images must have to fit an input; None if it is no input for images.

    Args:
        each: the input.
        layout: `nhwc` or `nchw` if it is known; None to tell it from the shape.
        axes: what the axes of the input count, if they were followed; the layout then follows from them.
    """
    if axes is not None and "unknown" not in axes:
        if tuple(axes) not in _LAYOUTS:
            return None
        layout = _LAYOUTS[tuple(axes)]
    if len(each.shape) != 3 or not each.dtype.startswith(("float", "bfloat", "uint8")):
        return None
    layout = layout or ("nchw" if each.shape[-1] not in _COLORS and each.shape[0] in _COLORS else "nhwc")
    *rows, last = each.shape if layout == "nhwc" else (*each.shape[1:], each.shape[0])
    if last not in _COLORS:
        return None
    size = None if None in rows else rows
    return {"size": size, "color": _COLORS[last], "layout": layout}


def input_dimensions(each: Input, layout: str | None) -> Dimensions:
    """The axes of an input, batch axis included.

    Args:
        each: the input.
        layout: as for `image_fields`.
    """
    fields = image_fields(each, layout)
    if fields is not None:
        return (
            (BATCH, CHANNELS, HEIGHT, WIDTH)
            if fields["layout"] == "nchw"
            else (BATCH, HEIGHT, WIDTH, CHANNELS)
        )
    return BATCH, *(UNKNOWN,) * len(each.shape)
