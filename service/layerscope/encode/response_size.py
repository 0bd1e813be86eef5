"""How long an answer will be, told from shapes before there is a value: exactly, where its format allows that."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from layerscope.encode.formats import Format
from layerscope.encode.json_format import json_size
from layerscope.encode.metadata import Metadata
from layerscope.encode.npy_format import npy_size
from layerscope.encode.npz_format import npz_size
from layerscope.encode.safetensors_format import safetensors_size
from layerscope.graph.taps.tap import Tap
from layerscope.tensors.activations import Activation, Activations, Quantization
from layerscope.tensors.channels import ChannelSelection
from layerscope.tensors.options import TensorOptions
from layerscope.tensors.spec import TensorSpec

_SIZES: dict[Format, Callable[[Activations, Metadata], int]] = {
    "json": json_size,
    "npy": npy_size,
    "npz": npz_size,
    "safetensors": safetensors_size,
}

_COUNT_BYTES = 20
"""The most digits that the number of non-finite values can have."""

_FIGURES, _FIGURE_BYTES, _FIGURE_KEYS = 6, 25, 512
"""Statistics are so many figures of a layer and of each channel, each so long at most, and the keys before them."""


@dataclass(frozen=True)
class ResponseSize:
    """Bytes of an answer; at most so many, unless `exact`: then just so many if all its values are finite."""

    nbytes: int
    exact: bool


def response_size(
    layers: Sequence[tuple[Tap, TensorSpec]],
    images: Sequence[str],
    options: TensorOptions,
    form: Format,
    metadata: Metadata,
    *,
    statistics: bool = False,
    warnings: tuple[str, ...] = (),
) -> ResponseSize:
    """Tell the length of an answer that `require_fits` lets through in that format, whatever its size.

    Args:
        layers: the taps and their values, before options.
        images: ids of the images, or others of their length.
        options: what makes the values smaller.
        form: the format they are sent in.
        metadata: what comes with them, but for statistics.
        statistics: whether statistics of the layers come too.
        warnings: of the model.

    Raises:
        ChannelNotFound, OptionInvalid: an option that a layer's shape has no room for.
    """
    blanks = {spec.address: _blank(tap, spec, options) for tap, spec in layers}
    nbytes = _SIZES[form](Activations(blanks, tuple(images), warnings), metadata)
    depends = statistics or ChannelSelection.parse(options.channels).top is not None
    exact = form == "npy" or (form == "safetensors" and not depends)
    if exact:
        return ResponseSize(nbytes, exact=True)
    return ResponseSize(nbytes + sum(_unknown(spec, statistics) for _, spec in layers), exact=False)


class _Blank(Activation):
    """Values that are not there yet: taken to be finite, and of no memory."""

    @property
    def nonfinite(self) -> int:
        """None that is known of."""
        return 0


def _blank(tap: Tap, whole: TensorSpec, options: TensorOptions) -> Activation:
    spec = whole.reduced(options)
    values = np.broadcast_to(np.zeros((), spec.dtype), spec.shape)
    scales = np.zeros(spec.channels, np.float32)
    quantization = Quantization(scales, scales, 0) if spec.quantized else None
    return _Blank(tap, values, spec.channel_axis, _channels(whole, options), quantization)


def _channels(
    whole: TensorSpec, options: TensorOptions
) -> "np.ndarray[tuple[int, ...], np.dtype[np.int64]] | None":
    """The numbers of the channels; those that depend on the values are as long as they can be."""
    selection = ChannelSelection.parse(options.channels)
    if selection.is_all:
        return None
    if selection.top is None:
        return np.asarray(selection.listed)
    return np.full((whole.shape[0], selection.count(whole.channels)), whole.channels - 1)


def _unknown(whole: TensorSpec, statistics: bool) -> int:
    """The most bytes that is said of a layer and depends on its values."""
    figures = _FIGURES * _FIGURE_BYTES * (1 + whole.channels) + _FIGURE_KEYS
    return _COUNT_BYTES + (figures if statistics else 0)
