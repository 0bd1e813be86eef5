"""Tensors of the datatype BYTES: each element is its length, as 4 bytes little-endian, and its bytes."""

import base64
import binascii
from collections.abc import Iterable

from layerscope.encode import Buffer
from layerscope.errors import InvalidRequest

_LENGTH = 4


def split(data: memoryview) -> list[bytes]:
    """Split the data of a tensor into its elements.

    Raises:
        InvalidRequest: a length is cut off, or an element is longer than the rest of the data.
    """
    elements, end = [], 0
    while end < len(data):
        start = end + _LENGTH
        length = int.from_bytes(data[end:start], "little")
        end = start + length
        if end > len(data):
            raise InvalidRequest("An element of a BYTES tensor is longer than the bytes that are left.")
        elements.append(bytes(data[start:end]))
    return elements


def join(elements: Iterable[bytes]) -> list[Buffer]:
    """The data of a tensor, as a list of buffers: the elements are not copied."""
    return [buffer for each in elements for buffer in (len(each).to_bytes(_LENGTH, "little"), each)]


def from_text(text: str) -> bytes:
    """Decode an element from JSON, where it is written in base64.

    Raises:
        InvalidRequest: the element is not in base64.
    """
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidRequest("In JSON the images of a BYTES tensor must be strings in base64.") from error


def to_text(element: bytes) -> str:
    """Encode an element in base64, for JSON."""
    return base64.b64encode(element).decode()
