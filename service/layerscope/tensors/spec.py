"""What a tensor will be before it exists: its shape and dtype, inferred through the options.

Every check of the options that depends on a layer's shape is here, so that a request that cannot be answered
is refused before anything runs. `Activation` has the same verbs and asks here for the same checks.
"""

from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from layerscope.errors import OptionInvalid
from layerscope.graph.taps.tap import Tap
from layerscope.tensors.channels import ChannelSelection
from layerscope.tensors.options import DataType, Layout, Reduction, Region, TensorOptions

_FLOAT = np.dtype(np.float32)


@dataclass(frozen=True)
class TensorSpec:
    """The shape (batch axis first) and dtype of one tap's values, and which axis counts channels, if one does.

    `quantized` says that a scale and an offset a channel come along.
    """

    address: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    channel_axis: int | None
    quantized: bool = False

    @classmethod
    def of(cls, tap: Tap, shape: tuple[int, ...]) -> "TensorSpec":
        """All of a tap's values in an array of `shape`, (batch, *tap shape)."""
        if tap.channel_axis is None:
            return cls(tap.address, shape, tap.dtype, None)
        # Counted from the end: images folded into the batch axis come back as axes before the tap's own.
        return cls(tap.address, shape, tap.dtype, len(shape) - len(tap.shape) + tap.channel_axis)

    @property
    def size(self) -> int:
        """The number of values."""
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """The bytes of the values."""
        return self.size * self.dtype.itemsize

    @property
    def channels(self) -> int:
        """The number of channels; 0 where no axis counts them."""
        return 0 if self.channel_axis is None else self.shape[self.channel_axis]

    @property
    def spatial_axes(self) -> tuple[int, ...]:
        """The axes that are neither batch nor channel: rows, columns, steps or depth."""
        return tuple(axis for axis in range(1, len(self.shape)) if axis != self.channel_axis)

    def reduced(self, options: TensorOptions) -> "TensorSpec":
        """What `Activation.reduced` makes of values of this shape.

        Raises:
            ChannelNotFound: a channel this layer does not have.
            OptionInvalid: an option that this layer's shape has no room for.
        """
        result = (
            self.select(options.channels).cropped(options.region, options.stride).summarized(options.reduce)
        )
        return result.arranged(options.layout).converted(options.dtype)

    def select(self, channels: str) -> "TensorSpec":
        """Keep some channels."""
        selection = ChannelSelection.parse(channels)
        if selection.is_all:
            return self
        if self.channel_axis is None:
            raise OptionInvalid(
                f"{self.address} has no channels to select.", option="channels", layer=self.address
            )
        selection.require(self.channels, self.address)
        sizes = list(self.shape)
        sizes[self.channel_axis] = selection.count(self.channels)
        return replace(self, shape=tuple(sizes))

    def cropped(self, region: Region | None, stride: int = 1) -> "TensorSpec":
        """Keep a window of the map, or every n-th pixel of it."""
        if region is None and stride == 1:
            return self
        window = self.window(region, stride)
        return replace(
            self, shape=tuple(len(range(size)[kept]) for size, kept in zip(self.shape, window, strict=True))
        )

    def window(self, region: Region | None, stride: int) -> tuple[slice, ...]:
        """The slice of each axis that a region and a stride keep."""
        kept = {axis: slice(None, None, stride) for axis in self.spatial_axes}
        if region is not None:
            self._require_region(region)
            left, top, right, bottom = region
            rows, columns = self.spatial_axes
            kept |= {rows: slice(top, bottom, stride), columns: slice(left, right, stride)}
        return tuple(kept.get(axis, slice(None)) for axis in range(len(self.shape)))

    def summarized(self, reduction: Reduction) -> "TensorSpec":
        """One float32 a channel."""
        if reduction == "none" or not self.spatial_axes:
            return self
        if 0 in self.shape:
            raise OptionInvalid(
                f"The map of {self.address} is empty: there is nothing to reduce.", option="reduce"
            )
        kept = self.shape[:1] if self.channel_axis is None else (self.shape[0], self.channels)
        return replace(self, shape=kept, dtype=_FLOAT, channel_axis=None if self.channel_axis is None else 1)

    def arranged(self, layout: Layout) -> "TensorSpec":
        """Put the channel axis last (`nhwc`) or first (`nchw`). Vectors have only one layout."""
        if layout == "native" or self.channel_axis is None or not self.spatial_axes:
            return self
        sizes = [self.shape[axis] for axis in (0, *self.spatial_axes)]
        axis = 1 if layout == "nchw" else len(sizes)
        sizes.insert(axis, self.channels)
        return replace(self, shape=tuple(sizes), channel_axis=axis)

    def converted(self, dtype: DataType) -> "TensorSpec":
        """Convert to float32 or float16, or to uint8 with a scale and an offset a channel."""
        if dtype == "native":
            return self
        if dtype == "uint8" and self.channel_axis is None:
            raise OptionInvalid(
                f"{self.address} has no channels to scale to uint8.", option="dtype", layer=self.address
            )
        return replace(self, dtype=np.dtype(dtype), quantized=dtype == "uint8")

    def _require_region(self, region: Region) -> None:
        if len(self.spatial_axes) != 2:
            message = f"{self.address} has no rows and columns to take a region of."
            raise OptionInvalid(message, option="region", layer=self.address)
        height, width = (self.shape[axis] for axis in self.spatial_axes)
        left, top, right, bottom = region
        if 0 <= left < right <= width and 0 <= top < bottom <= height:
            return
        raise OptionInvalid(
            f"The region {left},{top},{right},{bottom} does not lie in the {width}x{height} map of {self.address}.",
            option="region",
            layer=self.address,
            width=width,
            height=height,
        )
