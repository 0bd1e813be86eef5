"""Texts as bytes, as the store of images keeps them; the first bytes tell them from images."""

import json

from layerscope.errors import InvalidRequest, TextTooLong, TextUnreadable
from layerscope.limits import Limits

Text = str | tuple[int, ...]
"""A text, or the ids of its tokens, special ones included."""

_TEXT, _TOKENS = b"text\0", b"tokens\0"

_HIGHEST = 2**31 - 1


def encoded(text: Text) -> bytes:
    """A text as bytes: UTF-8, or the ids of tokens as JSON, behind a mark."""
    return _TEXT + text.encode() if isinstance(text, str) else _TOKENS + json.dumps(text).encode()


def is_text(data: bytes) -> bool:
    """Whether bytes are those of a text, and not of an image."""
    return data.startswith((_TEXT, _TOKENS))


def decoded(data: bytes) -> Text:
    """The text of which `encoded` made bytes.

    Raises:
        TextUnreadable: it is not UTF-8.
        InvalidRequest: the ids are none.
    """
    if data.startswith(_TEXT):
        return from_utf8(data[len(_TEXT) :])
    try:
        return ids_of(json.loads(data[len(_TOKENS) :]))
    except (ValueError, RecursionError) as error:
        raise InvalidRequest("The tokens of a text must be a list of ids.") from error


def from_utf8(data: bytes) -> str:
    """A text of UTF-8.

    Raises:
        TextUnreadable: it is not UTF-8.
    """
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise TextUnreadable(
            f"The text is not UTF-8: byte {error.start} is the first that cannot be read.", byte=error.start
        ) from error


def ids_of(tokens: object) -> tuple[int, ...]:
    """The ids of the tokens of one text, as JSON has them.

    Raises:
        InvalidRequest: they are no whole numbers from 0 on.
    """
    if isinstance(tokens, list) and all(type(each) is int and 0 <= each <= _HIGHEST for each in tokens):
        return tuple(tokens)
    raise InvalidRequest(f"The tokens of a text must be a list of whole numbers from 0 to {_HIGHEST}.")


def require_short(size: int, limits: Limits) -> None:
    """Check the bytes of all texts of a request.

    Raises:
        TextTooLong: they are more than `limits.text_bytes`.
    """
    if size > limits.text_bytes:
        raise TextTooLong(
            f"The texts have {size:,} bytes in UTF-8; one request may have {limits.text_bytes:,}",
            ways=("send fewer texts at once", "send shorter ones"),
            bytes=size,
            limit=limits.text_bytes,
        )
