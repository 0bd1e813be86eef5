"""safetensors reader: named tensors as views of the bytes of the file.

A file has eight bytes, little endian, of header length; a JSON header `{name: {"dtype", "shape", "data_offsets"}}` with
strings under `__metadata__`; then the data of all tensors without gaps.
Source: https://huggingface.co/docs/safetensors, section "Format".
"""

import json
import math
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

from layerscope_client._error_mapping import unreadable
from layerscope_client.errors import AnswerUnreadable

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]

_DTYPES = {
    "BOOL": "?",
    "U8": "u1",
    "I8": "i1",
    "U16": "<u2",
    "I16": "<i2",
    "U32": "<u4",
    "I32": "<i4",
    "U64": "<u8",
    "I64": "<i8",
    "F16": "<f2",
    "F32": "<f4",
    "F64": "<f8",
}

_LENGTH_BYTES = 8


def parse_safetensors(data: bytes) -> tuple[dict[str, Array], dict[str, str]]:
    """Read tensors as views of `data`.

    Returns:
        The tensors by name, in the order of their data, read-only; and the metadata.

    Raises:
        AnswerUnreadable: The file is cut off, damaged, or has a type that NumPy lacks.
    """
    header, start = _header(data)
    metadata = _metadata(header.pop("__metadata__", {}))
    entries = sorted(((*_span(entry), name) for name, entry in header.items()), key=lambda entry: entry[:2])
    position = 0
    tensors: dict[str, Array] = {}
    for begin, end, name in entries:
        if begin != position:
            raise _damaged("its tensors leave gaps or overlap")
        tensors[name] = _view(data, start + begin, end - begin, header[name])
        position = end
    if start + position != len(data):
        raise _damaged(f"it has {len(data) - start} bytes of data where its header says {position}")
    return tensors, metadata


def _header(data: bytes) -> tuple[dict[str, Any], int]:
    start = _LENGTH_BYTES + int.from_bytes(data[:_LENGTH_BYTES], "little")
    if len(data) < _LENGTH_BYTES or start > len(data):
        raise _damaged("it ends within its header")
    try:
        header = json.loads(data[_LENGTH_BYTES:start].decode("utf-8"), object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError):
        raise _damaged("its header is not JSON with unique names") from None
    if not isinstance(header, dict):
        raise _damaged("its header is not an object")
    return header, start


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(pairs)
    if len(unique) != len(pairs):
        raise ValueError("duplicate names")
    return unique


def _metadata(value: object) -> dict[str, str]:
    if isinstance(value, dict) and all(isinstance(text, str) for text in value.values()):
        return value
    raise _damaged("its metadata are not strings")


def _span(entry: object) -> tuple[int, int]:
    match entry:
        case {"data_offsets": [begin, end]} if _is_size(begin) and _is_size(end) and begin <= end:
            return begin, end
    raise _damaged("the place of a tensor is not valid")


def _view(data: bytes, start: int, length: int, entry: Mapping[str, Any]) -> Array:
    name, shape = entry.get("dtype"), entry.get("shape")
    if not isinstance(name, str) or name not in _DTYPES:
        raise _damaged(f"numpy has no type {str(name)[:16]!r}")
    if not isinstance(shape, list) or not all(_is_size(side) for side in shape):
        raise _damaged("the shape of a tensor is not valid")
    dtype = np.dtype(_DTYPES[name])
    count = math.prod(shape)
    if count * dtype.itemsize != length or start + length > len(data):
        raise _damaged("the shape of a tensor does not fit its data")
    try:
        return np.ndarray(tuple(shape), dtype, data, start)
    except (ValueError, OverflowError):
        raise _damaged("the shape of a tensor has more dimensions than an array can have") from None


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _damaged(reason: str) -> AnswerUnreadable:
    return unreadable(f"as a safetensors file, {reason}")
