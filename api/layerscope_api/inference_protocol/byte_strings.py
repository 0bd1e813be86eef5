"""Tensors of datatype BYTES: each element is its length, 4 bytes little-endian, and its bytes."""

import base64
import binascii
from collections.abc import Iterable

from layerscope.encode import Piece
from layerscope.errors import InvalidRequest

_LENGTH = 4


def split(data: memoryview) -> list[bytes]:
    """Take the elements apart.

    Raises:
        InvalidRequest: a length is cut off, or goes past the end.
    """
    elements, place = [], 0
    while place < len(data):
        start = place + _LENGTH
        length = int.from_bytes(data[place:start], "little")
        place = start + length
        if place > len(data):
            raise InvalidRequest("An element of a BYTES tensor is longer than the bytes that are left.")
        elements.append(bytes(data[start:place]))
    return elements


def join(elements: Iterable[bytes]) -> list[Piece]:
    """Put elements together; they are not copied."""
    return [piece for each in elements for piece in (len(each).to_bytes(_LENGTH, "little"), each)]


def from_text(text: object) -> bytes:
    """An element as it stands in JSON, which has no bytes: base64.

    Raises:
        InvalidRequest: it is none.
    """
    try:
        return base64.b64decode(text if isinstance(text, str) else "!", validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidRequest("In JSON the elements of a BYTES tensor must be strings in base64.") from error


def to_text(element: bytes) -> str:
    """The reverse."""
    return base64.b64encode(element).decode()
