"""Overlays: one map that is drawn over the image of a request, as it was sent or as the model saw it."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from layerscope.errors import NoPicture
from layerscope.execution.inputs import Sources
from layerscope.execution.overlay_background import OverlayBackground
from layerscope.graph.model import ModelDescription
from layerscope.graph.taps.selectors import require_one
from layerscope.limits import Limits
from layerscope.render import Picture, PictureFormat, overlay, overlay_bytes, overlay_layout, tiles
from layerscope.render.layout import require_fits
from layerscope.tensors.activations import Activation
from layerscope.tensors.spec import TensorSpec
from layerscope_api.schemas.picture_options import BackgroundOptions

_BYTES_PER_VALUE = 8


class Overlay:
    """An overlay over the image of a request. Its size is known at once; the image is decoded when it is drawn.

    Args:
        model: the model that the image goes into.
        sources: one image.
        options: how the overlay looks.
        limits: the limits in force.
        pictured: the input with the image that the map was computed from; the option `input` overrides it.

    Raises:
        LayerscopeError: the image cannot be drawn over, see `OverlayBackground`.
    """

    def __init__(
        self,
        model: ModelDescription,
        sources: Sources,
        options: BackgroundOptions,
        limits: Limits,
        pictured: str | None,
    ) -> None:
        self._options = options
        self._limits = limits
        self._background = OverlayBackground(
            model, sources, limits, on=options.on, input_name=options.input or pictured
        )
        self.input_name = options.input or pictured or model.inputs[0].name
        self._layout = overlay_layout(self._background.size, options.picture_options())

    def rendering_bytes(self, spec: TensorSpec) -> int:
        """The bytes of memory that drawing takes.

        Args:
            spec: the values that the map is made of.

        Raises:
            AnswerTooLarge: the picture would be too large.
        """
        require_fits(self._layout, self._limits.picture_pixels)
        return overlay_bytes(self._layout) + _BYTES_PER_VALUE * spec.size + self._background.decoding_bytes

    def render(
        self, values: NDArray[np.floating], metadata: Mapping[str, str], form: PictureFormat
    ) -> Picture:
        """Draw a map of shape (height, width) over the image.

        Raises:
            LayerscopeError: the image cannot be decoded.
        """
        return overlay(
            values,
            self._background.background(),
            self._options.picture_options(),
            limits=self._limits,
            alpha=self._options.alpha,
            interpolation=self._options.interpolation,
            metadata={**metadata, "input": self.input_name},
            form=form,
        )


def require_one_map(specs: Sequence[TensorSpec], layer: str, channel: int | None) -> None:
    """Check that a selector gives one layer whose values are maps over an image.

    Raises:
        ChannelNotFound: the layer does not have that channel.
        NoPicture: the values of the layer are no maps over an image.
        OptionInvalid: the selector gives several layers.
    """
    require_one(layer, [spec.address for spec in specs], "an overlay shows one")
    whole = specs[0]
    reason = whole.why_no_map()
    if reason is not None:
        message = f"{whole.address} cannot be laid over a picture. {reason}"
        raise NoPicture(message, layer=whole.address, shape=list(whole.shape[1:]), axes=list(whole.axes[1:]))
    if channel is not None:
        whole.select(str(channel))


def map_of(activation: Activation, channel: int | None) -> NDArray[np.floating]:
    """The map of one channel of the first image, of shape (height, width); without a channel, the mean magnitude of all."""
    chosen = (activation if channel is None else activation.select(str(channel))).folded()
    axis = None if chosen.channel_axis is None else chosen.channel_axis - 1
    maps = tiles(chosen.values[0], axis)
    only: NDArray[np.floating] = maps[0]
    if len(maps) == 1:
        return only
    mean: NDArray[np.floating] = np.abs(maps).mean(axis=0, dtype=np.float64)
    return mean.astype(maps.dtype)
