"""Tensor options: channels, region, stride, reduction, dtype and layout of every tensor in an answer."""

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
    """The options of a tensor in an answer. The defaults send all values as they were computed.

    Attributes:
        channels: The selected channels: `0,3,5-8`, `top:16` (largest mean magnitude) or `all`.
        region: (x0, y0, x1, y1) in pixels of the map, x1 and y1 excluded; only for layers with rows and columns.
        stride: Keep every n-th pixel of the map along each spatial axis, n at least 1.
        reduce: One number per channel instead of a map: `mean`, `max` or `l2` (Euclidean norm) over the spatial axes.
        dtype: `float32`, `float16`, or `uint8`, which is affine for each channel: value = scale * stored + offset.
            `native` keeps the type that the layer computes.
        layout: `nhwc` or `nchw` for layers with spatial axes; `native` keeps the layout that the layer computes.

    Raises:
        OptionInvalid: An option has a value that it cannot have.
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
