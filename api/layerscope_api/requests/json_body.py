"""JSON bodies: their parts are counted before they are parsed, and long texts, images in base64, are taken out of them first.

A parser makes an object for each part, which takes up to a hundred times the bytes of the body, and gives no other thread a
turn until it is done. So the parts are bounded, and what is long is never in the parser's hands.
"""

import binascii
import json
import math
import secrets
from typing import Any

from layerscope.errors import InvalidRequest, TooMany
from layerscope.limits import Limits

_MARKS = (b'"', b",", b"[", b"{")
"""Each part of JSON has at least one of these bytes. Base64 has none of them."""

_STEP_BYTES = 256 * 1024
"""The bytes that are counted or decoded without a turn for other threads; a multiple of 4, as base64 needs."""

_LONG_BYTES = 64 * 1024
"""Only images, and texts for a model, are longer."""

_REFERENCE = f"{secrets.token_hex(16)}:"
"""How the reference to a long text begins, which is parsed in its place. No request can guess it."""

_INTEGER_DIGITS = 19


class JsonBody:
    """The JSON object of a request's body.

    Args:
        body: as it was received.
        limits: `json_parts` bounds it.

    Attributes:
        document: the object, with references in place of long texts; `decoded` resolves them.

    Raises:
        TooMany: it has more parts than `limits` allow. Nothing was parsed.
        InvalidRequest: it is not JSON, no object, has a name twice, or is nested too deeply.
    """

    def __init__(self, body: bytes, limits: Limits) -> None:
        require_few_parts(body, limits)
        self._long: dict[str, memoryview] = {}
        self.document = _parsed(self._without_long_texts(body))

    def decoded(self, text: str) -> bytes:
        """The bytes of a text in base64.

        Raises:
            InvalidRequest: it is not base64.
        """
        return _decoded(self._long.pop(text) if text in self._long else memoryview(text.encode()))

    def unescaped(self, text: str) -> str:
        """A text of the document, whole.

        Raises:
            InvalidRequest: a long one has an escape that is none.
        """
        if text not in self._long:
            return text
        try:
            whole = str(json.loads(b'"%s"' % self._long.pop(text)))
            whole.encode()
        except ValueError as error:
            raise InvalidRequest("A text in the body is not text in UTF-8 with whole characters.") from error
        return whole

    def require_all_decoded(self) -> None:
        """Check that every long text was an image or a text for a model.

        Raises:
            InvalidRequest: one was not.
        """
        if self._long:
            raise InvalidRequest(
                f"A text in the body is longer than {_LONG_BYTES:,} bytes, which only an image's base64 and texts for a model may be."
            )

    def _without_long_texts(self, body: bytes) -> bytes:
        kept: list[bytes] = []
        position, start = 0, body.find(b'"')
        while start >= 0:
            end = _end_of_text(body, start + 1)
            if end - start > _LONG_BYTES:
                reference = f"{_REFERENCE}{len(self._long)}"
                self._long[reference] = memoryview(body)[start + 1 : end]
                kept += [body[position : start + 1], reference.encode()]
                position = end
            start = body.find(b'"', end + 1)
        return b"".join([*kept, body[position:]])


def require_few_parts(body: bytes, limits: Limits) -> None:
    """Check the number of values, names and brackets in JSON before it is parsed.

    Raises:
        TooMany: it may be more than `limits.json_parts`.
    """
    if len(body) <= limits.json_parts:
        return
    parts = 0
    for start in range(0, len(body), _STEP_BYTES):
        parts += sum(body.count(mark, start, start + _STEP_BYTES) for mark in _MARKS)
        # The rest of them is of no interest.
        if parts > limits.json_parts:
            raise TooMany(
                f"The JSON has {parts:,} quotes, commas and opening brackets or more; at most {limits.json_parts:,} are"
                " read",
                ways=(
                    "send tensors as .npy",
                    "send fewer images at once",
                    "name stored images in the query (image=)",
                ),
                parts=parts,
                limit=limits.json_parts,
            )


def count(body: bytes, mark: bytes) -> int:
    """How often a byte occurs, counted in steps so that other threads have their turns."""
    return sum(body.count(mark, start, start + _STEP_BYTES) for start in range(0, len(body), _STEP_BYTES))


def _end_of_text(body: bytes, start: int) -> int:
    """The place of the quote that ends a text; the end of the body if none does."""
    end = body.find(b'"', start)
    while end >= 0 and _is_escaped(body[start:end]):
        start, end = end + 1, body.find(b'"', end + 1)
    return len(body) if end < 0 else end


def _is_escaped(before: bytes) -> bool:
    return (len(before) - len(before.rstrip(b"\\"))) % 2 == 1


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(
            body.decode(),
            object_pairs_hook=_unique,
            parse_float=_finite,
            parse_int=_whole,
            parse_constant=_finite,
        )
        if b"\\u" in body:
            # The parser lets halves of characters pass, which cannot be written.
            json.dumps(document, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise InvalidRequest(
            f"The body is not valid JSON in UTF-8 (line {error.lineno}, column {error.colno}); NaN and Infinity are not"
            " JSON.",
            line=error.lineno,
            column=error.colno,
        ) from error
    except (RecursionError, UnicodeError) as error:
        raise InvalidRequest(
            "The body's JSON is nested too deeply, or is not text in UTF-8 with whole characters."
        ) from error
    if not isinstance(document, dict):
        raise InvalidRequest("The body must be a JSON object.")
    return document


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in found if names.count(name) > 1)[:80]
        raise InvalidRequest(f"The body's JSON has the key {twice!r} twice.", key=twice)
    return found


def _whole(text: str) -> float:
    return int(text) if len(text) <= _INTEGER_DIGITS else _finite(text)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise InvalidRequest(f"The body has the number {text[:20]}, which is not JSON or too large.")
    return number


def _decoded(text: memoryview) -> bytes:
    try:
        written = bytes(text)
        if b"\\" in written:
            # Some writers of JSON escape the slash, which is a digit of base64.
            written = str(json.loads(b'"%s"' % written)).encode("ascii")
        steps = [written[start : start + _STEP_BYTES] for start in range(0, len(written), _STEP_BYTES)]
        parts = [binascii.a2b_base64(step, strict_mode=True) for step in steps]
        if any(len(part) < _STEP_BYTES // 4 * 3 for part in parts[:-1]):
            raise binascii.Error("padding in the middle")
        return b"".join(parts)
    except (binascii.Error, ValueError) as error:
        raise InvalidRequest("An image's base64 is damaged.") from error
