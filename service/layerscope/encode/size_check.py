"""Size check: an upper bound of the size of an answer, from shapes alone, compared with the limits before anything runs."""

from collections.abc import Sequence
from math import prod

from layerscope.encode.formats import Format
from layerscope.encode.safetensors_format import METADATA_KEY
from layerscope.errors import AnswerTooLarge, OptionInvalid, UnsupportedFormat
from layerscope.limits import Limits
from layerscope.tensors.options import TensorOptions
from layerscope.tensors.spec import TensorSpec

_ROW_BYTES = 2_048
"""Upper bound of the metadata of a layer, without its address, statistics and selected channels."""

_ADDRESSES = 8
"""Most occurrences of an address in an answer: twice for each of values, scale and offset in an archive, and in the rows."""

_JSON_WIDTHS = {
    "bool": 5, "int8": 4, "int16": 6, "int32": 11, "int64": 20, "uint8": 3, "uint16": 5, "uint32": 10, "uint64": 20,
    "float16": 16, "float32": 16, "float64": 24,
}  # fmt: skip
"""Most characters of a number of each dtype."""

_COPIES: dict[Format, int] = {"json": 3, "npy": 1, "npz": 3, "safetensors": 1}
"""Copies of an answer in memory while it is encoded: values rearranged for the format, and buffers that grow."""

_QUANTIZED, _SUMMARIZED, _REDUCED = 24, 16, 12
"""Most bytes of memory per value of a layer while it is quantized, summarized as statistics, or reduced."""

_FEWER_CHANNELS = "ask for fewer channels (channels=)"
_SMALLER_MAP = "for a smaller map (reduce=, region= or stride=)"


def estimate(specs: Sequence[TensorSpec], form: Format, *, values: bool = True) -> int:
    """Most bytes of an answer, without statistics, warnings and the lists of images and channels.

    Args:
        specs: The tensors that are sent, after all options.
        form: The format.
        values: Whether the values are sent; only JSON can leave them out.
    """
    rows = _ROW_BYTES + sum(_ROW_BYTES + _ADDRESSES * len(spec.address.encode()) for spec in specs)
    if form != "json":
        return rows + sum(spec.size * spec.dtype.itemsize + 8 * _scales(spec) for spec in specs)
    return rows + sum(json_bytes(spec, values) for spec in specs)


def building_bytes(
    specs: Sequence[TensorSpec],
    options: TensorOptions,
    form: Format,
    *,
    values: bool = True,
    statistics: bool = False,
) -> int:
    """Most bytes of memory that making an answer takes, without the computed values that it is made of.

    Args:
        specs: The computed values, before options.
        options: The options that make them smaller.
        form: The format.
        values: Whether the values are sent.
        statistics: Whether statistics of the layers are sent.
    """
    smaller = [spec.reduced(options) for spec in specs]
    written = _COPIES[form] * estimate(smaller, form, values=values)
    each = max(
        _QUANTIZED if options.dtype == "uint8" else 0,
        _SUMMARIZED if statistics else 0,
        _REDUCED if options.reduce != "none" or options.channels != "all" else 0,
    )
    widest = max((spec.size for spec in specs), default=0)
    return sum(spec.nbytes for spec in smaller) + written + each * widest


def require_fits(specs: Sequence[TensorSpec], form: Format, limits: Limits, *, values: bool = True) -> None:
    """Check that an answer can be sent in a format.

    Raises:
        AnswerTooLarge: The answer has more values than JSON may carry, or more bytes than an answer may have.
        UnsupportedFormat: The format cannot hold these tensors.
        OptionInvalid: The values are left out, and the format can send nothing else.
    """
    _require_format_holds(specs, form, values)
    elements = sum(spec.size for spec in specs) if values else 0
    if form == "json" and elements > limits.json_elements:
        raise AnswerTooLarge(
            f"The answer has {elements:,} values; JSON carries at most {limits.json_elements:,}",
            ways=(_FEWER_CHANNELS, _SMALLER_MAP, "for a binary format (format=safetensors)"),
            values=elements,
            limit=limits.json_elements,
        )
    size = estimate(specs, form, values=values)
    if size > limits.response_bytes:
        raise AnswerTooLarge(
            f"The answer takes {size:,} bytes; at most {limits.response_bytes:,} are sent",
            ways=(
                _FEWER_CHANNELS,
                _SMALLER_MAP,
                "for narrower numbers (dtype=float16, or uint8 with format=safetensors)",
            ),
            bytes=size,
            limit=limits.response_bytes,
        )


def _require_format_holds(specs: Sequence[TensorSpec], form: Format, values: bool) -> None:
    if form != "json" and not values:
        message = f"values=false leaves nothing to send as {form}: use format=json."
        raise OptionInvalid(message, option="values")
    for spec in specs:
        if spec.dtype.name not in _JSON_WIDTHS:
            message = f"{spec.address} holds {spec.dtype.name} values, which cannot be sent: leave it out."
            raise UnsupportedFormat(message, layer=spec.address, dtype=spec.dtype.name)
    if form == "safetensors" and METADATA_KEY in {spec.address for spec in specs}:
        raise UnsupportedFormat(f"safetensors has no room for a layer called {METADATA_KEY}: use format=npz.")
    if form == "npy" and (len(specs) != 1 or specs[0].quantized):
        holds = "no scale and offset" if len(specs) == 1 else f"one layer, not {len(specs)}"
        raise UnsupportedFormat(
            f"A .npy file holds {holds}: use format=npz or format=safetensors.", layers=len(specs)
        )


def json_bytes(spec: TensorSpec, values: bool) -> int:
    """Most bytes of the numbers of a layer in JSON: values, scales and offsets, with brackets and commas."""
    scales = 2 * _scales(spec) * (_JSON_WIDTHS["float32"] + 1)
    if not values:
        return scales
    lists = sum(prod(spec.shape[:depth]) for depth in range(len(spec.shape)))
    brackets_and_comma = 3
    return scales + spec.size * (_JSON_WIDTHS[spec.dtype.name] + 1) + lists * brackets_and_comma


def _scales(spec: TensorSpec) -> int:
    return spec.channels if spec.quantized else 0
