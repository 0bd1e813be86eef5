"""JSON in pieces: documents with large arrays, written so that other threads go on meanwhile.

orjson keeps the interpreter's lock until a document is written: for a million values that is 60 ms, in which the service answers
nobody. Between two pieces the lock is free.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson

from layerscope.encode.arrays import Array, Buffer

_PIECE_VALUES = 16_384
"""How many values are written at a time: about 1 ms."""

_ARRAY = b"\0"
"""Where an array will be in the text of a document. JSON itself has no such byte: in strings it is written as an escape."""


def json_pieces(document: Any) -> list[Buffer]:
    """A document as JSON, in pieces that follow each other. The arrays in it must be C-contiguous."""
    arrays: list[Array] = []

    def left_out(value: object) -> orjson.Fragment:
        if not isinstance(value, np.ndarray):
            raise TypeError(type(value).__name__)
        arrays.append(value)
        return orjson.Fragment(_ARRAY)

    first, *others = orjson.dumps(document, default=left_out).split(_ARRAY)
    pieces: list[Buffer] = [first]
    for array, text in zip(arrays, others, strict=True):
        pieces += [*_pieces_of(array), text]
    return pieces


def _pieces_of(array: Array) -> Iterator[bytes]:
    if array.size <= _PIECE_VALUES:
        yield _json(array)
        return
    rows = max(1, _PIECE_VALUES * len(array) // array.size)
    yield b"["
    for start in range(0, len(array), rows):
        if start:
            yield b","
        if rows == 1:
            yield from _pieces_of(array[start])
        else:
            yield _json(array[start : start + rows])[1:-1]
    yield b"]"


def _json(array: Array) -> bytes:
    return orjson.dumps(array, option=orjson.OPT_SERIALIZE_NUMPY)
