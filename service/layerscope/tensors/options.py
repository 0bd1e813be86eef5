"""What is sent of each tensor: the options every tensor answer takes."""

from dataclasses import dataclass
from typing import Literal, get_args

from layerscope.errors import OptionInvalid

Reduction = Literal["none", "mean", "max", "l2"]
DataType = Literal["native", "float32", "float16", "uint8"]
Layout = Literal["native", "nhwc", "nchw"]
Region = tuple[int, int, int, int]
"""(x0, y0, x1, y1) in pixels of the map, x1 and y1 excluded."""


@dataclass(frozen=True, kw_only=True)
class TensorOptions:
    """What is sent of each tensor. The defaults send all of it as it was computed.

    Attributes:
        channels: which channels, as `0,3,5-8`, `top:16` (largest mean magnitude) or `all`.
        region: (x0, y0, x1, y1) in pixels of the map, x1 and y1 excluded; only for layers with rows and columns.
        stride: every n-th pixel of the map along each spatial axis.
        reduce: one number a channel instead of a map: `mean`, `max` or `l2` over the spatial axes.
        dtype: `float32`, `float16`, or `uint8`, which is affine for each channel: value = scale * stored + offset.
        layout: `nhwc` or `nchw` for layers with spatial axes; left out, as the layer computed it.

    Raises:
        OptionInvalid: an option is outside what it may be.
    """

    channels: str = "all"
    region: Region | None = None
    stride: int = 1
    reduce: Reduction = "none"
    dtype: DataType = "native"
    layout: Layout = "native"

    def __post_init__(self) -> None:
        if self.stride < 1:
            raise OptionInvalid(f"stride must be at least 1, not {self.stride}.", option="stride")
        for name, kind in (("reduce", Reduction), ("dtype", DataType), ("layout", Layout)):
            if getattr(self, name) not in get_args(kind):
                raise OptionInvalid(f"{name} must be one of {', '.join(get_args(kind))}.", option=name)
