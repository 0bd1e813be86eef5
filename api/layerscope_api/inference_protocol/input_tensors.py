"""The input tensors of a request for inference: views of the binary data behind the JSON, or arrays of the values in JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from layerscope.errors import InvalidRequest
from layerscope_api.inference_protocol import byte_strings
from layerscope_api.inference_protocol.datatypes import BYTES, DTYPES, Array
from layerscope_api.inference_protocol.parameters import read_parameters

_MAX_AXES = 16

_MAX_VALUES = 2**31 - 1
"""Most values that the sides of a tensor without values, of which one is zero, would make without the zeros."""


@dataclass(frozen=True)
class InputTensor:
    """An input tensor: an array with the batch axis first, or a list for the datatype BYTES.

    Elements that came in JSON are strings, as JSON has them: a text is itself, and an image file is written in base64.
    """

    name: str
    values: Array | list[bytes] | list[str]


def read_input_tensors(entries: Sequence[Mapping[str, Any]], data: memoryview) -> list[InputTensor]:
    """Read the input tensors of a request.

    Args:
        entries: the objects of the JSON list `inputs`, each with a name.
        data: the bytes that follow the JSON: the tensors with a `binary_data_size`, one behind the other.

    Raises:
        InvalidRequest: an entry is malformed, or its values do not fit its shape and datatype.
    """
    sizes = [_binary_size(entry) for entry in entries]
    names = [entry["name"] for entry in entries]
    if len(set(names)) < len(names):
        raise InvalidRequest("An input is given twice.")
    total = sum(size or 0 for size in sizes)
    if total != len(data):
        raise InvalidRequest(
            f"The inputs' binary_data_size sum up to {total} bytes; {len(data)} follow the JSON.",
            declared=total,
            bytes=len(data),
        )
    inputs, start = [], 0
    for entry, size in zip(entries, sizes, strict=True):
        end = start + (size or 0)
        inputs.append(_input(entry, None if size is None else data[start:end]))
        start = end
    return inputs


def _binary_size(entry: Mapping[str, Any]) -> int | None:
    size = read_parameters(entry).get("binary_data_size")
    if size is None:
        return None
    if not _is_size(size):
        raise InvalidRequest(
            f"The binary_data_size of input {entry['name'][:80]!r} must be a number of bytes."
        )
    return int(size)


def _input(entry: Mapping[str, Any], data: memoryview | None) -> InputTensor:
    name, datatype, shape = entry["name"], entry.get("datatype"), _shape(entry)
    if datatype == BYTES:
        values = byte_strings.split(data) if data is not None else _strings(entry)
        if len(values) != prod(shape):
            raise _wrong_count(name, shape, len(values))
        return InputTensor(name, values)
    dtype = DTYPES.get(datatype) if isinstance(datatype, str) else None
    if dtype is None:
        raise InvalidRequest(
            f"The datatype of input {name[:80]!r} must be one of {', '.join((*DTYPES, BYTES))}.",
            input=name[:80],
        )
    return InputTensor(
        name, _view(name, data, dtype, shape) if data is not None else _numbers(entry, dtype, shape)
    )


def _shape(entry: Mapping[str, Any]) -> tuple[int, ...]:
    match entry.get("shape"):
        case list(sizes) if len(sizes) <= _MAX_AXES and all(_is_size(size) for size in sizes):
            return _possible(entry["name"], tuple(sizes))
    name = entry["name"][:80]
    raise InvalidRequest(
        f"The shape of input {name!r} must be a list of at most {_MAX_AXES} sizes.", input=name
    )


def _possible(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape whose sides numpy can hold, also where one of them is zero and no data bound the others."""
    if 0 not in shape or prod(size or 1 for size in shape) <= _MAX_VALUES:
        return shape
    message = f"The sides of input {name[:80]!r} must make at most {_MAX_VALUES:,} values."
    raise InvalidRequest(message, input=name[:80], limit=_MAX_VALUES)


def _is_size(value: object) -> bool:
    return type(value) is int and value >= 0


def _view(name: str, data: memoryview, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array:
    if prod(shape) * dtype.itemsize != len(data):
        raise InvalidRequest(
            f"Input {name[:80]!r} of shape {list(shape)} and {dtype.itemsize} bytes a value has {len(data)} bytes.",
            input=name[:80],
            bytes=len(data),
        )
    if dtype.kind == "b":
        # A numpy bool must be stored as 0 or 1: other bytes would give undefined results.
        values: Array = np.frombuffer(data, np.uint8) != 0
    else:
        values = np.frombuffer(data, dtype)
    return np.require(values.reshape(shape), values.dtype.newbyteorder("="), ["ALIGNED"])


def _numbers(entry: Mapping[str, Any], dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array:
    """The values in JSON, flat or nested."""
    name = entry["name"][:80]
    try:
        # As objects: an array of strings would reserve the length of the longest one for every element.
        values = np.array(_data(entry), object).reshape(-1)
    except ValueError as error:
        raise InvalidRequest(
            f"The data of input {name!r} is nested in lists of different lengths."
        ) from error
    if values.size != prod(shape):
        raise _wrong_count(name, shape, values.size)
    if not set(map(type, values)) <= ({bool} if dtype.kind == "b" else {int, float}):
        raise InvalidRequest(f"The data of input {name!r} must be {dtype.name} values.", input=name)
    if dtype.kind in "iu":
        return _integers(name, values.tolist(), dtype).reshape(shape)
    with np.errstate(over="ignore", invalid="ignore"):
        return np.array(values.tolist()).astype(dtype).reshape(shape)


def _integers(name: str, values: list[float], dtype: np.dtype[Any]) -> Array:
    try:
        # One by one: numpy converts a list with both small and very large integers to floating point.
        whole = [int(value) for value in values]
        converted = np.array(whole, dtype)
    except (OverflowError, ValueError):
        whole, converted = [], np.empty(0, dtype)
    if whole != values:
        raise InvalidRequest(
            f"The data of input {name!r} has numbers that {dtype.name} cannot hold.", input=name
        )
    return converted


def _data(entry: Mapping[str, Any]) -> list[Any]:
    data = entry.get("data")
    if not isinstance(data, list):
        raise InvalidRequest(f"Input {entry['name'][:80]!r} has neither data nor a binary_data_size.")
    return data


def _strings(entry: Mapping[str, Any]) -> list[str]:
    """The elements in JSON, flat or nested as deep as the shape `[N, 1]` is."""
    data = [each[0] if isinstance(each, list) and len(each) == 1 else each for each in _data(entry)]
    if not all(isinstance(each, str) for each in data):
        raise InvalidRequest(
            f"In JSON the elements of the BYTES tensor {entry['name'][:80]!r} must be strings.",
            input=entry["name"][:80],
        )
    return data


def _wrong_count(name: str, shape: tuple[int, ...], count: int) -> InvalidRequest:
    return InvalidRequest(
        f"Input {name[:80]!r} of shape {list(shape)} has {count} elements.",
        input=name[:80],
        shape=list(shape),
    )
