"""A request for inference, read: JSON, and behind it the tensors that are sent as they lie in memory.

Nothing here knows a model. Every size is checked before anything of that size is made, and tensors are views of the body.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
import orjson

from layerscope.errors import BodyTooLarge, InvalidRequest
from layerscope.limits import Limits
from layerscope_api.inference_protocol import byte_strings
from layerscope_api.inference_protocol.datatypes import BYTES, DTYPES, Array

Parameters = Mapping[str, Any]

_MOST_AXES = 16
_MOST_DIGITS = 12
_ALIGNMENT = 16

_UNSUPPORTED = {
    "shared_memory_region": "Shared memory",
    "sequence_id": "A sequence of requests",
    "classification": "Classification",
}


@dataclass(frozen=True)
class InputTensor:
    """An input: numbers of `shape`, the batch axis first, or for datatype BYTES the elements of that many strings."""

    name: str
    values: Array | list[bytes]


@dataclass(frozen=True)
class RequestedOutput:
    """An output that is asked for, whether in binary, and on what terms: the request's, and those of its own."""

    name: str
    binary: bool
    parameters: Parameters


@dataclass(frozen=True)
class InferenceRequest:
    """What is asked. Without `outputs`, the model's own are.

    Attributes:
        inputs: the tensors, in the order they came; a body that is nothing but the model's input is `raw` instead.
        outputs: what is wanted.
        parameters: the terms of all outputs.
        binary: whether outputs are binary that do not say.
        id: what the caller calls the request.
    """

    inputs: tuple[InputTensor, ...] = ()
    outputs: tuple[RequestedOutput, ...] = ()
    parameters: Parameters = field(default_factory=dict)
    binary: bool = False
    id: str | None = None
    raw: memoryview | None = None


def put_together(chunks: Sequence[bytes], header: str | None) -> memoryview:
    """The body in one piece, so that what follows the JSON, whose length is in the header, lies aligned in memory."""
    length = int(header) if header is not None and _is_number(header) else 0
    padding = -length % _ALIGNMENT
    return memoryview(b"".join([bytes(padding), *chunks]))[padding:]


def read_inference_request(body: memoryview, header: str | None, limits: Limits) -> InferenceRequest:
    """Take a body apart.

    Args:
        body: all of it, uncompressed.
        header: the `Inference-Header-Content-Length`: how much of the body is JSON. With None, all of it is; with `0` nothing
            is, and the body is the model's only input.
        limits: the bounds in force.

    Raises:
        InvalidRequest: it does not follow the protocol, or asks for a part of it that is not supported.
        BodyTooLarge: more numbers than JSON may carry.
    """
    length = len(body) if header is None else _json_length(header, len(body))
    if length == 0 and header is not None:
        return InferenceRequest(raw=body, binary=True)
    document = _parsed(body[:length], limits)
    parameters = _parameters(document)
    binary = parameters.get("binary_data_output") is True
    identity = document.get("id")
    if not isinstance(identity, str | None):
        raise InvalidRequest("id must be a string.")
    return InferenceRequest(
        inputs=tuple(_inputs(_objects(document, "inputs"), body[length:])),
        outputs=tuple(
            _output(each, parameters, binary=binary) for each in _objects(document, "outputs", required=False)
        ),
        parameters=parameters,
        binary=binary,
        id=identity,
    )


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS


def _json_length(header: str, available: int) -> int:
    if not _is_number(header) or int(header) > available:
        raise InvalidRequest(
            f"Inference-Header-Content-Length must be a number of bytes, at most the {available} of the body,"
            f" not {header[:40]!r}."
        )
    return int(header)


def _parsed(text: memoryview, limits: Limits) -> dict[str, Any]:
    separators = bytes(text).count(b",")
    if separators > 2 * limits.json_elements:
        raise BodyTooLarge(
            f"The JSON has {separators:,} commas; it may carry {limits.json_elements:,} values",
            ways=("send tensors in binary", "send images as files (datatype BYTES)", "send fewer at once"),
            limit=limits.json_elements,
        )
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest("The body, up to Inference-Header-Content-Length, is not valid JSON.") from error
    if not isinstance(document, dict):
        raise InvalidRequest("The request must be a JSON object with inputs.")
    return document


def _objects(document: Mapping[str, Any], key: str, *, required: bool = True) -> list[dict[str, Any]]:
    """A list of objects that each have a name."""
    found = document.get(key)
    if found is None and not required:
        return []
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise InvalidRequest(f"{key} must be a list of objects.")
    for each in found:
        if not isinstance(each.get("name"), str):
            raise InvalidRequest(f"Each of {key} must have a name.")
    return found


def _parameters(document: Mapping[str, Any]) -> dict[str, Any]:
    parameters = document.get("parameters")
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise InvalidRequest("parameters must be an object.")
    for name, feature in _UNSUPPORTED.items():
        if parameters.get(name):
            raise InvalidRequest(f"{feature} ({name}) is not supported.", parameter=name)
    return parameters


def _output(entry: Mapping[str, Any], parameters: Parameters, *, binary: bool) -> RequestedOutput:
    own = _parameters(entry)
    return RequestedOutput(entry["name"], own.get("binary_data", binary) is True, {**parameters, **own})


def _inputs(entries: Sequence[Mapping[str, Any]], data: memoryview) -> list[InputTensor]:
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
    size = _parameters(entry).get("binary_data_size")
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
        values = byte_strings.split(data) if data is not None else _texts(entry)
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
        case list(sizes) if len(sizes) <= _MOST_AXES and all(_is_size(size) for size in sizes):
            return tuple(sizes)
    name = entry["name"][:80]
    raise InvalidRequest(
        f"The shape of input {name!r} must be a list of at most {_MOST_AXES} sizes.", input=name
    )


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
        # Any other byte than 0 and 1 is an invalid numpy bool.
        values: Array = np.frombuffer(data, np.uint8) != 0
    else:
        values = np.frombuffer(data, dtype)
    return np.require(values.reshape(shape), values.dtype.newbyteorder("="), ["ALIGNED"])


def _numbers(entry: Mapping[str, Any], dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array:
    """The values in JSON, flat or nested."""
    name = entry["name"][:80]
    try:
        # As objects: numpy would make room for the longest text in each place.
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
        # One by one: in one array, numpy makes floating-point numbers of small and of large ones.
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


def _texts(entry: Mapping[str, Any]) -> list[bytes]:
    return [byte_strings.from_text(each) for each in _data(entry)]


def _wrong_count(name: str, shape: tuple[int, ...], count: int) -> InvalidRequest:
    return InvalidRequest(
        f"Input {name[:80]!r} of shape {list(shape)} has {count} elements.",
        input=name[:80],
        shape=list(shape),
    )
