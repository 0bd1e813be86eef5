"""Activations: the values of layers by address, and the operations that make them smaller before they are sent.

No operation changes an array in place: each returns a new array, or a view of the one it was given.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from layerscope.graph.runtime.float16 import to_float16
from layerscope.graph.taps.tap import Tap
from layerscope.tensors.channels import ChannelSelection
from layerscope.tensors.options import DataType, Layout, Reduction, Region, TensorOptions
from layerscope.tensors.scaling import scaled
from layerscope.tensors.spec import AxisOfBatch, TensorSpec
from layerscope.tensors.timing import Timing, seconds_by_stage
from layerscope.text import Token

Array = np.ndarray[Any, np.dtype[Any]]

_HALF_EXPONENT = np.uint16(0x7C00)
"""The exponent bits of a float16: all set in NaN and infinities, and in no other value."""


@dataclass(frozen=True)
class Quantization:
    """Affine quantization to uint8 per channel: value = scale * stored + offset.

    Attributes:
        scale: float32 of shape (channels,).
        offset: float32 of shape (channels,).
        nonfinite: Number of values that could not be represented: infinities are stored as the nearer end of the
            channel's range, NaN as its lower end.
    """

    scale: Array
    offset: Array
    nonfinite: int


@dataclass(frozen=True)
class Activation:
    """The values of one tap for a batch.

    Attributes:
        tap: The tap.
        values: Array of shape (batch, *shape).
        channel_axis: The axis of `values` that counts channels; None if there is none.
        axes: What each axis of `values` counts, `batch` first.
        channels: The numbers of the selected channels, of shape (count,), or (batch, count) where images differ
            (`top:k`); None if all are there.
        quantization: The scale and offset of uint8 values; None for values as they were computed.
    """

    tap: Tap
    values: Array
    channel_axis: int | None
    axes: tuple[AxisOfBatch, ...]
    channels: Array | None = None
    quantization: Quantization | None = None

    @classmethod
    def of(cls, tap: Tap, values: Array) -> "Activation":
        """All of a tap's values, as they were computed."""
        spec = TensorSpec.of(tap, values.shape)
        return cls(tap, values, spec.channel_axis, spec.axes)

    @property
    def spec(self) -> TensorSpec:
        """The shape, dtype and channel axis of the values."""
        quantized = self.quantization is not None
        return TensorSpec(
            self.tap.address,
            self.values.shape,
            self.values.dtype,
            self.channel_axis,
            self.axes,
            self.tap.tensor.grid,
            quantized,
        )

    @property
    def spatial_axes(self) -> tuple[int, ...]:
        """The axes of `values` that are neither batch nor channel: rows, columns, steps or depth."""
        return self.spec.spatial_axes

    @property
    def layout(self) -> Layout | None:
        """The position of the channel axis: `nhwc` if last, `nchw` if first; None where there is only one layout."""
        if self.channel_axis is None or not self.spatial_axes:
            return None
        return "nhwc" if self.channel_axis == self.values.ndim - 1 else "nchw"

    @cached_property
    def nonfinite(self) -> int:
        """Number of values that are NaN or infinite, or were so before they were quantized."""
        if self.quantization is not None:
            return self.quantization.nonfinite
        if self.values.dtype.kind != "f":
            return 0
        if self.values.dtype == np.float16:
            # On the bits: np.isfinite has no vectorized loop for float16.
            return int(np.count_nonzero(self.values.view(np.uint16) & _HALF_EXPONENT == _HALF_EXPONENT))
        return int(self.values.size - np.count_nonzero(np.isfinite(self.values)))

    def folded(self) -> "Activation":
        """Maps over an image as (images, height, width, channels): tokens of a grid become rows and columns.

        Other values stay as they are. Only for values of which no places were cut away.
        """
        spec = self.spec
        if spec.geometry is None or self.channel_axis is None:
            return self
        folded = spec.folded()
        values = spec.geometry.folded(self.values)
        return replace(self, values=values, channel_axis=folded.channel_axis, axes=folded.axes)

    def reduced(self, options: TensorOptions) -> "Activation":
        """Apply channels, region, stride, reduction, layout and dtype, in that order.

        Raises:
            ChannelNotFound: The layer does not have a selected channel.
            OptionInvalid: An option does not fit the shape of the layer.
        """
        result = (
            self.select(options.channels).cropped(options.region, options.stride).summarized(options.reduce)
        )
        return result.arranged(options.layout).converted(options.dtype)

    def select(self, channels: str) -> "Activation":
        """Keep some channels, in the order of the selection; `top:k` is in descending order of mean magnitude."""
        selection = ChannelSelection.parse(channels)
        self.spec.select(channels)
        if selection.is_all or self.channel_axis is None:
            return self
        chosen = selection.resolve(np.moveaxis(self.values, self.channel_axis, 1), self.tap.address)
        if (chosen == chosen[:1]).all():
            values = np.take(self.values, chosen[0], axis=self.channel_axis)
            return replace(self, values=values, channels=chosen[0])
        axis = self.channel_axis - 1
        rows = [np.take(image, row, axis=axis) for image, row in zip(self.values, chosen, strict=True)]
        return replace(self, values=np.stack(rows), channels=chosen)

    def cropped(self, region: Region | None, stride: int = 1) -> "Activation":
        """Keep a window of the map, or every n-th pixel of it."""
        if region is None and stride == 1:
            return self
        return replace(self, values=self.values[self.spec.window(region, stride)])

    def summarized(self, reduction: Reduction) -> "Activation":
        """Reduce each channel to its mean, maximum or Euclidean norm over the spatial axes, as float32.

        Sums are taken in float64, and values are squared in it: the square of a float32 can be beyond float32.
        """
        spec = self.spec.summarized(reduction)
        axes = self.spatial_axes
        if reduction == "none" or not axes:
            return self
        with np.errstate(over="ignore", invalid="ignore"):
            if reduction == "max":
                reduced = self._maximum(axes)
            else:
                values, exponent = scaled(self.values, axes)
                small = _norm(values, axes) if reduction == "l2" else values.mean(axis=axes, dtype=np.float64)
                reduced = np.ldexp(small, exponent.reshape(exponent.shape[0], -1))
            values = reduced.astype(np.float32, copy=False)
            return replace(self, values=values, channel_axis=spec.channel_axis, axes=spec.axes)

    def _maximum(self, axes: tuple[int, ...]) -> Array:
        # NumPy has no vectorized maximum of float16.
        is_half = self.values.dtype == np.float16
        values = self.values.astype(np.float32) if is_half else self.values
        largest: Array = values.max(axis=axes)
        return largest

    def arranged(self, layout: Layout) -> "Activation":
        """Move the channel axis to the end (`nhwc`) or to the front (`nchw`). Vectors have only one layout."""
        spec = self.spec.arranged(layout)
        if spec.channel_axis is None or self.channel_axis is None or spec.channel_axis == self.channel_axis:
            return self
        values = np.moveaxis(self.values, self.channel_axis, spec.channel_axis)
        return replace(self, values=values, channel_axis=spec.channel_axis, axes=spec.axes)

    def converted(self, dtype: DataType) -> "Activation":
        """Convert to float32 or float16, or to uint8 with a scale and an offset per channel."""
        self.spec.converted(dtype)
        if dtype == "native" or (dtype != "uint8" and self.values.dtype == dtype):
            return self
        if dtype == "float16" and self.values.dtype == np.float32:
            # By TensorFlow: NumPy's cast is not vectorized, 55 to 1500 ms instead of 14 for all layers of MobileNetV2.
            return replace(self, values=to_float16(self.values))
        with np.errstate(over="ignore", invalid="ignore"):
            return self._quantized() if dtype == "uint8" else replace(self, values=self.values.astype(dtype))

    def _quantized(self) -> "Activation":
        """Quantize each channel over all images: its smallest finite value becomes 0, its largest 255."""
        values = self.values.astype(np.float32, copy=False)
        finite = np.isfinite(values)
        axes = tuple(axis for axis in range(values.ndim) if axis != self.channel_axis)
        low = values.min(axis=axes, keepdims=True, where=finite, initial=np.inf)
        high = values.max(axis=axes, keepdims=True, where=finite, initial=-np.inf)
        low, high = np.where(low <= high, (low, high), np.float32(0))
        # Halves, because the difference of two values can be more than float32 holds.
        scale = (high / 2 - low / 2) / np.float32(127.5)
        clipped = np.clip(np.where(np.isnan(values), low, values), low, high)
        steps = 2 * np.divide(clipped / 2 - low / 2, scale, out=np.zeros_like(clipped), where=scale > 0)
        nonfinite = values.size - int(np.count_nonzero(finite))
        quantization = Quantization(scale.reshape(-1), low.reshape(-1), nonfinite)
        return replace(self, values=np.rint(steps).clip(0, 255).astype(np.uint8), quantization=quantization)


def _norm(values: Array, axes: tuple[int, ...]) -> Array:
    """The Euclidean norm over some axes. The squares are float64, one at a time: no array holds all of them."""
    every = list(range(values.ndim))
    kept = [axis for axis in every if axis not in axes]
    squares: Array = np.einsum(values, every, values, every, kept, dtype=np.float64)
    norm: Array = np.sqrt(squares)
    return norm


@dataclass(frozen=True)
class Activations(Mapping[str, Activation]):
    """The values of some taps for a batch of images, by address, in graph order.

    Attributes:
        by_address: The values of each tap.
        images: The ids of the images, in the order of the batch.
        warnings: Sentences for a person to read.
        edits: The edits of the model that the values are of, as texts; none where the model is as it was loaded.
        seed: Of the random numbers that the model drew; None if it draws none.
        timings: The time spent in each stage of the request.
        hit: Whether all values came from the cache, so that nothing had to run.
        tokens: Of each text, one for each position of the input; nothing if the images are no texts.
    """

    by_address: Mapping[str, Activation]
    images: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    edits: tuple[str, ...] = ()
    seed: int | None = None
    timings: Sequence[Timing] = ()
    hit: bool = False
    tokens: tuple[tuple[Token, ...], ...] = ()

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds spent in each stage, by name."""
        return seconds_by_stage(self.timings)

    def __getitem__(self, address: str) -> Activation:
        return self.by_address[address]

    def __iter__(self) -> Iterator[str]:
        return iter(self.by_address)

    def __len__(self) -> int:
        return len(self.by_address)

    def reduced(self, options: TensorOptions) -> "Activations":
        """Apply the same options to every activation."""
        smaller = {address: activation.reduced(options) for address, activation in self.by_address.items()}
        return replace(self, by_address=smaller)
