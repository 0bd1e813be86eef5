"""Response size: the length of an answer from shapes, before any value is computed; exact where the format allows it.

The encoders' own size functions are applied to arrays of the right shapes that take no memory, so that an answer and the
prediction of its size come from the same code.
"""

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
from layerscope.text import Token

_SIZES: dict[Format, Callable[[Activations, Metadata], int]] = {
    "json": json_size,
    "npy": npy_size,
    "npz": npz_size,
    "safetensors": safetensors_size,
}

_COUNT_BYTES = 20
"""Most digits of the number of non-finite values."""

_STATISTICS, _STATISTIC_BYTES, _STATISTIC_KEYS_BYTES = 6, 25, 512
"""Number of statistics of a layer and of each channel, most bytes of each, and most bytes of their keys."""


@dataclass(frozen=True)
class ResponseSize:
    """Number of bytes of an answer: exact if all its values are finite and `exact` is set, otherwise an upper bound."""

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
    seed: int | None = None,
    tokens: tuple[tuple[Token, ...], ...] = (),
) -> ResponseSize:
    """Compute the length of an answer. The format must be able to hold the layers, see `require_fits`; limits are not checked.

    Args:
        layers: The taps, and the shapes and types of their values before options.
        images: The ids of the images, or placeholders of the same length.
        options: The options that make the values smaller.
        form: The format.
        metadata: The metadata of the answer, without statistics.
        statistics: Whether statistics of the layers are sent.
        warnings: The warnings of the model.
        seed: Of its random numbers, if it draws any.
        tokens: Of the texts, if the images are texts.

    Raises:
        ChannelNotFound, OptionInvalid: An option does not fit the shape of a layer.
    """
    placeholders = {spec.address: _placeholder(tap, spec, options) for tap, spec in layers}
    activations = Activations(placeholders, tuple(images), warnings, seed=seed, tokens=tokens)
    nbytes = _SIZES[form](activations, metadata)
    depends = statistics or ChannelSelection.parse(options.channels).top is not None
    exact = form == "npy" or (form == "safetensors" and not depends)
    if exact:
        return ResponseSize(nbytes, exact=True)
    return ResponseSize(nbytes + sum(_unknown(spec, statistics) for _, spec in layers), exact=False)


class _Placeholder(Activation):
    """Values that are not computed yet. They count as finite."""

    @property
    def nonfinite(self) -> int:
        """Number of non-finite values: 0 is assumed."""
        return 0


def _placeholder(tap: Tap, whole: TensorSpec, options: TensorOptions) -> Activation:
    spec = whole.reduced(options)
    values = np.broadcast_to(np.zeros((), spec.dtype), spec.shape)  # one value in memory, whatever the shape
    scales = np.zeros(spec.channels, np.float32)
    quantization = Quantization(scales, scales, 0) if spec.quantized else None
    return _Placeholder(tap, values, spec.channel_axis, spec.axes, _channels(whole, options), quantization)


def _channels(
    whole: TensorSpec, options: TensorOptions
) -> "np.ndarray[tuple[int, ...], np.dtype[np.int64]] | None":
    """The numbers of the selected channels; for `top:k`, which depends on values, numbers with the most digits."""
    selection = ChannelSelection.parse(options.channels)
    if selection.is_all:
        return None
    if selection.top is None:
        return np.asarray(selection.listed)
    return np.full((whole.shape[0], selection.count(whole.channels)), whole.channels - 1)


def _unknown(whole: TensorSpec, statistics: bool) -> int:
    """Most bytes of the metadata of a layer that depend on its values."""
    statistic_bytes = _STATISTICS * _STATISTIC_BYTES * (1 + whole.channels) + _STATISTIC_KEYS_BYTES
    return _COUNT_BYTES + (statistic_bytes if statistics else 0)
