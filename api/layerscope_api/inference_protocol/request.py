"""The request for inference: its JSON, which may be followed by tensors in binary (the binary tensor data extension).

This module knows no model. Sizes are checked before memory of that size is allocated, and binary tensors are views of the body.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from layerscope.errors import BodyTooLarge, InvalidRequest
from layerscope.limits import Limits
from layerscope_api.inference_protocol.input_tensors import InputTensor, read_input_tensors
from layerscope_api.inference_protocol.parameters import Parameters, read_parameters
from layerscope_api.requests.json_body import count

_MAX_LENGTH_DIGITS = 12
_VALUES_PER_LIST = 4
"""Lists are slower to read than the values in them, and the parser gives no other thread a turn until it is done."""

_ALIGNMENT = 16
"""Bytes: at least the alignment of every datatype."""


@dataclass(frozen=True)
class RequestedOutput:
    """A requested output: its name, whether it is sent in binary, and its parameters, which are joined with the request's."""

    name: str
    binary: bool
    parameters: Parameters


@dataclass(frozen=True)
class InferenceRequest:
    """A request for inference.

    Attributes:
        inputs: the input tensors, in the order of the request.
        outputs: the requested outputs; if empty, the outputs of the model are answered.
        parameters: the parameters of all outputs.
        binary: whether outputs are sent in binary if their own parameters do not say.
        id: the id that the caller gave the request.
        raw: the whole body, if it is the model's only input and there is no JSON.
    """

    inputs: tuple[InputTensor, ...] = ()
    outputs: tuple[RequestedOutput, ...] = ()
    parameters: Parameters = field(default_factory=dict)
    binary: bool = False
    id: str | None = None
    raw: memoryview | None = None


def join_aligned(chunks: Sequence[bytes], header: str | None) -> memoryview:
    """Join the chunks of a body so that the binary data behind the JSON is aligned in memory, as numpy arrays need it."""
    length = int(header) if header is not None and _is_number(header) else 0
    padding = -length % _ALIGNMENT
    return memoryview(b"".join([bytes(padding), *chunks]))[padding:]


def read_inference_request(body: memoryview, header: str | None, limits: Limits) -> InferenceRequest:
    """Parse the body of a request.

    Args:
        body: the whole body, decompressed.
        header: the header `Inference-Header-Content-Length`, the bytes of the body that are JSON. None: the whole body is
            JSON; `0`: there is no JSON, and the body is the model's only input.
        limits: the bounds in force.

    Raises:
        InvalidRequest: the body does not follow the protocol, or asks for a feature that is not supported.
        BodyTooLarge: the JSON has more values than `json_elements`.
    """
    length = len(body) if header is None else _json_length(header, len(body))
    if length == 0 and header is not None:
        return InferenceRequest(raw=body, binary=True)
    document = _parsed(body[:length], limits)
    parameters = read_parameters(document)
    binary = parameters.get("binary_data_output") is True
    identity = document.get("id")
    if not isinstance(identity, str | None):
        raise InvalidRequest("id must be a string.")
    return InferenceRequest(
        inputs=tuple(read_input_tensors(_objects(document, "inputs"), body[length:])),
        outputs=tuple(
            _output(each, parameters, binary=binary) for each in _objects(document, "outputs", required=False)
        ),
        parameters=parameters,
        binary=binary,
        id=identity,
    )


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _MAX_LENGTH_DIGITS


def _json_length(header: str, available: int) -> int:
    if not _is_number(header) or int(header) > available:
        raise InvalidRequest(
            f"Inference-Header-Content-Length must be a number of bytes, at most the {available} of the body,"
            f" not {header[:40]!r}."
        )
    return int(header)


def _parsed(text: memoryview, limits: Limits) -> dict[str, Any]:
    written = bytes(text)
    commas = count(written, b",")
    lists = count(written, b"[") + count(written, b"{")
    if commas > 2 * limits.json_elements or lists > limits.json_elements // _VALUES_PER_LIST:
        raise BodyTooLarge(
            f"The JSON has {commas:,} commas and {lists:,} lists; it may carry {limits.json_elements:,} values",
            ways=("send tensors in binary", "send images as files (datatype BYTES)", "send fewer at once"),
            limit=limits.json_elements,
        )
    try:
        document = orjson.loads(written)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest("The body, up to Inference-Header-Content-Length, is not valid JSON.") from error
    if not isinstance(document, dict):
        raise InvalidRequest("The request must be a JSON object with inputs.")
    return document


def _objects(document: Mapping[str, Any], key: str, *, required: bool = True) -> list[dict[str, Any]]:
    """The list of objects under a key, each of which has a name."""
    found = document.get(key)
    if found is None and not required:
        return []
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise InvalidRequest(f"{key} must be a list of objects.")
    for each in found:
        if not isinstance(each.get("name"), str):
            raise InvalidRequest(f"Each of {key} must have a name.")
    return found


def _output(entry: Mapping[str, Any], parameters: Parameters, *, binary: bool) -> RequestedOutput:
    own = read_parameters(entry)
    return RequestedOutput(entry["name"], own.get("binary_data", binary) is True, {**parameters, **own})
