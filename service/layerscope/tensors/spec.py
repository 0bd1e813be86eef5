"""Tensor specification: shape and dtype of a tensor before it is computed, inferred through the options.

Every check of an option that depends on the shape of a layer is here, so that a request that cannot be answered is refused
before anything runs. `Activation` has the same operations and calls these for the checks.
"""

from dataclasses import dataclass, replace
from math import prod
from typing import Any, Literal

import numpy as np

from layerscope.errors import OptionInvalid
from layerscope.graph.taps.geometry import (
    MapGeometry,
    image_geometry_of,
    rows_and_columns,
    why_not_over_image,
)
from layerscope.graph.taps.tap import AxisName, Tap, TokenGrid
from layerscope.tensors.channels import ChannelSelection
from layerscope.tensors.options import DataType, Layout, Reduction, Region, TensorOptions

AxisOfBatch = AxisName | Literal["batch"]

FOLDED_AXES: tuple[AxisOfBatch, ...] = ("batch", "height", "width", "channels")
"""The axes of values that are maps, after they were folded."""

_FLOAT = np.dtype(np.float32)


@dataclass(frozen=True)
class TensorSpec:
    """Shape and dtype of the values of one tap.

    Attributes:
        address: The address of the tap.
        shape: The shape, batch axis first.
        dtype: The type of the values.
        channel_axis: The axis of `shape` that counts channels; None if there is none.
        axes: What each axis counts, `batch` first.
        grid: The map that tokens are, if they are one.
        quantized: Whether a scale and an offset per channel belong to the values.
    """

    address: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    channel_axis: int | None
    axes: tuple[AxisOfBatch, ...]
    grid: TokenGrid | None = None
    quantized: bool = False

    @classmethod
    def of(cls, tap: Tap, shape: tuple[int, ...]) -> "TensorSpec":
        """The specification of all values of a tap, in an array of `shape`, (batch, *tap shape)."""
        # Counted from the end, because an array can have more axes between the batch axis and those of the tap, where a
        # model folds other axes into the batch.
        more = len(shape) - len(tap.shape)
        unclear: list[AxisOfBatch] = ["unknown"] * (more - 1)
        channel_axis = None if tap.channel_axis is None else more + tap.channel_axis
        axes = ("batch", *unclear, *tap.axes)
        return cls(tap.address, shape, tap.dtype, channel_axis, axes, tap.tensor.grid)

    @property
    def size(self) -> int:
        """Number of values."""
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Number of bytes of the values."""
        return self.size * self.dtype.itemsize

    @property
    def channels(self) -> int:
        """Number of channels; 0 without a channel axis."""
        return 0 if self.channel_axis is None else self.shape[self.channel_axis]

    @property
    def geometry(self) -> MapGeometry | None:
        """How the values of each image are maps over it; None if they are none, or nobody knows."""
        return image_geometry_of(self._of_image, self.grid)

    def why_no_map(self) -> str | None:
        """Why the values are no maps over an image; None if they are."""
        if self.geometry is None:
            return why_not_over_image(self._of_image, self.grid)
        return None if self.size else "It has no values."

    @property
    def _of_image(self) -> tuple[AxisName, ...]:
        return tuple(name for name in self.axes[1:] if name != "batch")

    @property
    def spatial_axes(self) -> tuple[int, ...]:
        """The axes that are neither batch nor channel: rows, columns, steps or depth."""
        return tuple(axis for axis in range(1, len(self.shape)) if axis != self.channel_axis)

    def folded(self) -> "TensorSpec":
        """The specification of the result of `Activation.folded`."""
        geometry = self.geometry
        if geometry is None or self.channel_axis is None:
            return self
        shape = (self.shape[0], *geometry.folded_shape(self.shape[1:]))
        return replace(self, shape=shape, channel_axis=3, axes=FOLDED_AXES, grid=None)

    def reduced(self, options: TensorOptions) -> "TensorSpec":
        """The specification of the result of `Activation.reduced`.

        Raises:
            ChannelNotFound: The layer does not have a selected channel.
            OptionInvalid: An option does not fit the shape of the layer.
        """
        result = (
            self.select(options.channels).cropped(options.region, options.stride).summarized(options.reduce)
        )
        return result.arranged(options.layout).converted(options.dtype)

    def select(self, channels: str) -> "TensorSpec":
        """Keep some channels; see `ChannelSelection`.

        Raises:
            ChannelNotFound: The layer does not have a selected channel.
            OptionInvalid: The layer has no channels, or `channels` cannot be parsed.
        """
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
        """Keep a region of the map, or every n-th pixel of it.

        Raises:
            OptionInvalid: The region does not fit the map.
        """
        if region is None and stride == 1:
            return self
        window = self.window(region, stride)
        return replace(
            self, shape=tuple(len(range(size)[kept]) for size, kept in zip(self.shape, window, strict=True))
        )

    def window(self, region: Region | None, stride: int) -> tuple[slice, ...]:
        """The slice of each axis that a region and a stride keep.

        Raises:
            OptionInvalid: The region does not fit the map.
        """
        kept = {axis: slice(None, None, stride) for axis in self.spatial_axes}
        if region is not None:
            rows, columns = self._plane(region)
            left, top, right, bottom = region
            kept |= {rows: slice(top, bottom, stride), columns: slice(left, right, stride)}
        return tuple(kept.get(axis, slice(None)) for axis in range(len(self.shape)))

    def summarized(self, reduction: Reduction) -> "TensorSpec":
        """Reduce each channel to one float32.

        Raises:
            OptionInvalid: The map has no values.
        """
        if reduction == "none" or not self.spatial_axes:
            return self
        if 0 in self.shape:
            raise OptionInvalid(
                f"The map of {self.address} is empty: there is nothing to reduce.", option="reduce"
            )
        kept = (0,) if self.channel_axis is None else (0, self.channel_axis)
        return replace(
            self,
            shape=tuple(self.shape[axis] for axis in kept),
            dtype=_FLOAT,
            channel_axis=None if self.channel_axis is None else 1,
            axes=tuple(self.axes[axis] for axis in kept),
        )

    def arranged(self, layout: Layout) -> "TensorSpec":
        """Move the channel axis to the end (`nhwc`) or to the front (`nchw`). Vectors have only one layout."""
        if layout == "native" or self.channel_axis is None or not self.spatial_axes:
            return self
        order = [0, *self.spatial_axes]
        axis = 1 if layout == "nchw" else len(order)
        order.insert(axis, self.channel_axis)
        return replace(
            self,
            shape=tuple(self.shape[axis] for axis in order),
            channel_axis=axis,
            axes=tuple(self.axes[axis] for axis in order),
        )

    def converted(self, dtype: DataType) -> "TensorSpec":
        """Convert to float32 or float16, or to uint8 with a scale and an offset per channel.

        Raises:
            OptionInvalid: The values cannot be quantized, because the layer has no channels.
        """
        if dtype == "native":
            return self
        if dtype == "uint8" and self.channel_axis is None:
            raise OptionInvalid(
                f"{self.address} has no channels to scale to uint8.", option="dtype", layer=self.address
            )
        return replace(self, dtype=np.dtype(dtype), quantized=dtype == "uint8")

    def _plane(self, region: Region) -> tuple[int, int]:
        """The axes of rows and columns, for a region that lies in them."""
        plane = rows_and_columns(self.axes)
        if plane is None:
            named = ", ".join(self.axes[1:])
            message = f"{self.address} has no rows and columns to take a region of: its axes are {named}."
            raise OptionInvalid(message, option="region", layer=self.address)
        height, width = (self.shape[axis] for axis in plane)
        left, top, right, bottom = region
        if 0 <= left < right <= width and 0 <= top < bottom <= height:
            return plane
        raise OptionInvalid(
            f"The region {left},{top},{right},{bottom} does not lie in the {width}x{height} map of {self.address}.",
            option="region",
            layer=self.address,
            width=width,
            height=height,
        )
