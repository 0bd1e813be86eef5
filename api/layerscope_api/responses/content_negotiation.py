"""Content negotiation: the format of an answer, from the `format` option or the Accept header (RFC 9110, section 12.5.1)."""

from layerscope.encode import FORMATS, MEDIA_TYPES, Format
from layerscope.errors import NotAcceptable, UnsupportedFormat

_ANYTHING = "*/*"
_CHOICE = f": use {', '.join(f'{name} ({MEDIA_TYPES[name]})' for name in FORMATS)}."
_EXACT, _SUBTYPES, _ALL, _NONE = 3, 2, 1, 0
"""Specificity of the media range that matches a media type: `a/b`, `a/*`, `*/*`, or no range."""


def format_for(accept: str | None, requested: str | None) -> Format:
    """Choose the format of an answer.

    Args:
        accept: The Accept header; None or an empty one accepts everything. Items that cannot be read are ignored.
        requested: The `format` option, which takes precedence over the header.

    Returns:
        The format with the highest quality value. Among equal ones a format that is named precedes one that only a
        wildcard matches; then the order of `FORMATS` decides.

    Raises:
        UnsupportedFormat: The option names no format.
        NotAcceptable: The client accepts none of the formats.
    """
    if requested is not None:
        return _named(requested)
    qualities = _quality_by_range(accept or _ANYTHING)
    ranked = ((*_quality_and_specificity(MEDIA_TYPES[name], qualities), name) for name in FORMATS)
    # max returns the first of equal ones, which keeps the order of FORMATS.
    quality, _, best = max(ranked, key=lambda rank: rank[:2])
    if quality == 0:
        raise NotAcceptable(
            f"Accept: {accept} leaves no format to answer in"[:200] + _CHOICE, formats=MEDIA_TYPES
        )
    return best


def quality_of(media_type: str, accept: str | None) -> float:
    """The quality value of a media type in an Accept header, from 0 (not acceptable) to 1 (preferred)."""
    return _quality_and_specificity(media_type, _quality_by_range(accept or _ANYTHING))[0]


def _named(requested: str) -> Format:
    for name in FORMATS:
        if requested == name:
            return name
    raise UnsupportedFormat(f"format={requested[:100]} is not a format{_CHOICE}", formats=MEDIA_TYPES)


def _quality_by_range(accept: str) -> dict[str, float]:
    """The quality value of every media range in an Accept header; ranges with an invalid value are left out."""
    qualities = {}
    for item in accept.split(","):
        media_range, *parameters = (part.strip().lower() for part in item.split(";"))
        quality = _quality(parameters)
        if quality is not None:
            qualities[media_range] = quality
    return qualities


def _quality(parameters: list[str]) -> float | None:
    """The value of the parameter `q`: 1 where it is missing, None where it is invalid."""
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


def _quality_and_specificity(media_type: str, qualities: dict[str, float]) -> tuple[float, int]:
    """The quality value of a media type: that of the most specific range that matches it, with its specificity."""
    subtypes = f"{media_type.partition('/')[0]}/*"
    candidates = ((media_type, _EXACT), (subtypes, _SUBTYPES), (_ANYTHING, _ALL))
    return next(((qualities[text], rank) for text, rank in candidates if text in qualities), (0.0, _NONE))
