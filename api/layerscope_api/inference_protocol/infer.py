"""Inference: one request of the protocol, answered by a query of the engine."""

from contextlib import AbstractContextManager
from math import prod
from typing import Any

import numpy as np
import orjson

from layerscope.encode.metadata import tokens_json
from layerscope.errors import InputMismatch, InvalidRequest
from layerscope.execution.inputs import ANY_INPUT, ImageSource, Source, Sources, TensorSource, TextSource
from layerscope.execution.interface import Query, QueryPlan, Result
from layerscope.extraction.catalog import NamedImages
from layerscope.graph.model import ModelDescription
from layerscope.graph.taps.selectors import require_few
from layerscope.graph.taps.tap import Input
from layerscope.text import from_utf8
from layerscope_api.context.service import Service
from layerscope_api.inference_protocol import byte_strings
from layerscope_api.inference_protocol.compression import compress
from layerscope_api.inference_protocol.datatypes import DTYPES, datatype_of
from layerscope_api.inference_protocol.input_tensors import InputTensor
from layerscope_api.inference_protocol.models import described, protocol_errors
from layerscope_api.inference_protocol.openapi import HEADER_LENGTH
from layerscope_api.inference_protocol.outputs import outputs_bytes, requested_outputs
from layerscope_api.inference_protocol.parameters import Parameters
from layerscope_api.inference_protocol.request import InferenceRequest
from layerscope_api.inference_protocol.response import write_inference_response
from layerscope_api.requests.edits import with_edits
from layerscope_api.responses.query_handler import QueryHandler
from layerscope_api.responses.respond import ResponseBody
from layerscope_api.schemas.options import ChangeOptions, read_options

_SECONDS_PER_MICROSECOND = 1e-6

_TEXT = "text"
"""The name of an input of texts."""

_RUN_OPTIONS = ("seed", "edit", "change")


class Inference(QueryHandler):
    """One request for inference. Making it may block.

    Args:
        service: the engine and the limits.
        reference: the model in the path.
        request: the parsed request.
        encoding: the Content-Encoding of the response; None for no compression.
        images: fetches the images that edits name.

    Raises:
        LayerscopeError: the model or an output does not exist, or a parameter is invalid.
    """

    def __init__(
        self,
        service: Service,
        reference: str,
        request: InferenceRequest,
        encoding: str | None,
        images: NamedImages,
    ) -> None:
        self._limits = service.limits
        self._reference = reference
        self._request = request
        self._encoding = encoding
        self._model = described(service.engine, reference)
        require_few([each.name for each in request.outputs], service.limits)
        self._outputs = requested_outputs(self._model, request)
        self._options = _run_options(request)
        self._images = images

    def query(self) -> Query:
        """The layers of the outputs, of the version that their names were looked up in."""
        query = Query(
            model=f"{self._model.name}@{self._model.version}",
            sources=_sources(self._model, self._request),
            layers=list(dict.fromkeys(each.address for each in self._outputs)),
            change=self._options.change,
            seed=self._options.seed,
            timeout=_timeout(self._request.parameters),
        )
        return with_edits(query, self._options.edit, self._images)

    def admit(self, plan: QueryPlan) -> int:
        """Check that the outputs are not too large."""
        return outputs_bytes(self._outputs, plan.specs, self._limits)

    def make(self, result: Result) -> ResponseBody:
        """Write the response, and compress it if the client asks for that."""
        head: dict[str, Any] = {"model_name": result.model.name, "model_version": str(result.model.version)}
        if self._request.id is not None:
            head["id"] = self._request.id
        if parameters := _said(result):
            head["parameters"] = parameters
        tensors = [tensor for each in self._outputs for tensor in each.tensors(result, self._limits)]
        response = write_inference_response(head, tensors)
        headers = {} if response.json_length is None else {HEADER_LENGTH: str(response.json_length)}
        if self._encoding is None:
            buffers = response.buffers
        else:
            buffers = compress(response.buffers, self._encoding)
            headers["Content-Encoding"] = self._encoding
        return ResponseBody(buffers, response.media_type, result.model, result.activations, headers)

    def translated_errors(self) -> AbstractContextManager[None]:
        """Error messages are those of the protocol."""
        return protocol_errors(self._reference)


def _timeout(parameters: Parameters) -> float | None:
    """The seconds that the caller allows; None without a limit. The protocol counts microseconds, and 0 means no limit."""
    match parameters.get("timeout"):
        case int(microseconds) | float(microseconds) if microseconds > 0:
            return microseconds * _SECONDS_PER_MICROSECOND
    return None


def _run_options(request: InferenceRequest) -> ChangeOptions:
    """The options that are alike for all outputs: the seed, the edits, and whether their change is wanted.

    A parameter of the protocol is one text, so several edits are separated by line breaks.

    Raises:
        OptionInvalid: one is impossible.
        InvalidRequest: an output has edits of its own.
    """
    given = {name: value for name, value in request.parameters.items() if name in _RUN_OPTIONS}
    for output in request.outputs:
        for name in _RUN_OPTIONS:
            if output.parameters.get(name) != given.get(name):
                raise InvalidRequest(
                    f"{name} is a parameter of the request, not of one output.", parameter=name
                )
    if isinstance(given.get("edit"), str):
        given["edit"] = [text for text in given["edit"].splitlines() if text.strip()]
    return read_options(ChangeOptions, given)


def _said(result: Result) -> dict[str, Any]:
    """The parameters of the answer: what its values depend on besides the inputs."""
    found = result.activations
    said: dict[str, Any] = {} if found.seed is None else {"seed": found.seed}
    if found.edits:
        said["edit"] = "\n".join(found.edits)
    if found.tokens:
        # Of texts, which may have been cut. A parameter of the protocol is no list.
        said["tokens"] = orjson.dumps(tokens_json(found.tokens)).decode()
        said["warnings"] = "\n".join(found.warnings)
    return said


def _sources(model: ModelDescription, request: InferenceRequest) -> Sources:
    if request.raw is not None:
        return {ANY_INPUT: [TensorSource(_raw(model, request.raw))]}
    if len(request.inputs) == 1 and _is_text(model, request.inputs[0]):
        return {ANY_INPUT: [TextSource(_text(each)) for each in request.inputs[0].values]}
    return {each.name: _source(each) for each in request.inputs}


def _source(tensor: InputTensor) -> list[Source]:
    if isinstance(tensor.values, list):
        files = (byte_strings.from_text(each) if isinstance(each, str) else each for each in tensor.values)
        return [ImageSource(each) for each in files]
    return [TensorSource(tensor.values)]


def _is_text(model: ModelDescription, tensor: InputTensor) -> bool:
    """Whether an input has texts, which stand for all inputs of the model. One without a tokenizer refuses them."""
    own = [each.name for each in model.inputs]
    is_named = tensor.name == _TEXT and _TEXT not in own
    is_only = model.tokenizer is not None and own == [tensor.name]
    return isinstance(tensor.values, list) and (is_named or is_only)


def _text(element: bytes | str) -> str:
    return element if isinstance(element, str) else from_utf8(element)


def _raw(model: ModelDescription, body: memoryview) -> np.ndarray[Any, Any]:
    """The only input of the model, as a whole body without JSON. Its length tells the number of images."""
    each = model.inputs[0]
    dtype = DTYPES[datatype_of(each.dtype) or "FP32"]
    sizes = [size or 0 for size in each.shape]
    size = dtype.itemsize * prod(sizes)
    if len(model.inputs) > 1 or size == 0 or len(body) % size:
        raise _no_raw(model, each, len(body))
    return np.frombuffer(body, dtype).reshape(-1, *sizes)


def _no_raw(model: ModelDescription, each: Input, size: int) -> InputMismatch:
    return InputMismatch(
        f"A body of {size} bytes and no JSON cannot be the input of {model.name}: send inputs with their names and shapes.",
        input=each.name,
        shape=list(each.shape),
        bytes=size,
    )
