"""Which format an answer takes: what was asked for, or what the client accepts (RFC 9110, section 12.5.1)."""

from typing import Literal, get_args

from layerscope.errors import UnsupportedFormat

Format = Literal["json", "npy", "npz", "safetensors"]

FORMATS: tuple[Format, ...] = get_args(Format)
"""In order of preference among those a client likes equally."""

MEDIA_TYPES: dict[Format, str] = {
    "json": "application/json",
    "npy": "application/x-npy",
    "npz": "application/x-npz",
    "safetensors": "application/vnd.safetensors",
}

EXTENSIONS: dict[Format, str] = {name: f".{name}" for name in FORMATS}

_ANYTHING = "*/*"
_NAMED, _FAMILY, _ANY, _NEVER = 3, 2, 1, 0


def format_for(accept: str | None, asked: str | None) -> Format:
    """Choose the format of an answer.

    Args:
        accept: the Accept header; None or nothing accepts everything. What in it cannot be read is passed over.
        asked: the `format` option, which wins over the header.

    Returns:
        The format with the highest q-value; among equals one that is named before one that a wildcard lets in.

    Raises:
        UnsupportedFormat: the client takes nothing that is spoken here.
    """
    if asked is not None:
        return _named(asked)
    ranges = _ranges(accept or _ANYTHING)
    ranked = ((*_liking(MEDIA_TYPES[name], ranges), name) for name in FORMATS)
    quality, _, best = max(ranked, key=lambda rank: rank[:2])
    if quality == 0:
        raise _refusal(f"Accept: {accept} leaves no format to answer in"[:200])
    return best


def quality_of(media_type: str, accept: str | None) -> float:
    """How much a client wants an answer of some type, by its Accept header: from 0 (not at all) to 1."""
    return _liking(media_type, _ranges(accept or _ANYTHING))[0]


def _named(asked: str) -> Format:
    for name in FORMATS:
        if asked == name:
            return name
    raise _refusal(f"format={asked[:100]} is not a format")


def _refusal(reason: str) -> UnsupportedFormat:
    spoken = ", ".join(f"{name} ({MEDIA_TYPES[name]})" for name in FORMATS)
    return UnsupportedFormat(f"{reason}: use {spoken}.", formats=MEDIA_TYPES)


def _ranges(accept: str) -> dict[str, float]:
    """The q-value of every media range."""
    ranges = {}
    for item in accept.split(","):
        media_range, *parameters = (part.strip().lower() for part in item.split(";"))
        quality = _quality(parameters)
        if quality is not None:
            ranges[media_range] = quality
    return ranges


def _quality(parameters: list[str]) -> float | None:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            return _number(value.strip())
    return 1.0


def _number(text: str) -> float | None:
    try:
        quality = float(text)
    except ValueError:
        return None
    return quality if 0 <= quality <= 1 else None


def _liking(media_type: str, ranges: dict[str, float]) -> tuple[float, int]:
    """How much a format is wanted, and by how specific a range: the most specific one decides."""
    family = f"{media_type.partition('/')[0]}/*"
    candidates = ((media_type, _NAMED), (family, _FAMILY), (_ANYTHING, _ANY))
    return next(((ranges[text], rank) for text, rank in candidates if text in ranges), (0.0, _NEVER))
