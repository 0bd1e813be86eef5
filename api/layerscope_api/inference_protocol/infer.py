"""One inference: what a request of the protocol asks of a model, and the answer to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from layerscope.encode import building_bytes, require_fits
from layerscope.errors import InputMismatch
from layerscope.execution.inputs import ANY_INPUT, ImageSource, Source, Sources, TensorSource
from layerscope.execution.interface import Query, QueryPlan, Result
from layerscope.graph.model import ModelDescription
from layerscope.graph.taps.selectors import require_few
from layerscope.graph.taps.tap import Input
from layerscope.limits import Limits
from layerscope.render import render_groups
from layerscope.tensors.activations import Activation
from layerscope.tensors.spec import TensorSpec
from layerscope_api.context.service import Service
from layerscope_api.inference_protocol.compression import compress
from layerscope_api.inference_protocol.datatypes import DTYPES, datatype_of
from layerscope_api.inference_protocol.input_tensors import InputTensor
from layerscope_api.inference_protocol.models import described, output_tap, protocol_errors
from layerscope_api.inference_protocol.openapi import HEADER_LENGTH
from layerscope_api.inference_protocol.parameters import Parameters
from layerscope_api.inference_protocol.request import InferenceRequest, RequestedOutput
from layerscope_api.inference_protocol.response import OutputTensor, write_inference_response
from layerscope_api.responses.execution import Execution
from layerscope_api.responses.respond import Answer
from layerscope_api.schemas.options import ActivationOptions, Options, read_options
from layerscope_api.schemas.picture_options import FeatureMapOptions
from layerscope_api.serializers.feature_map import drawing_bytes, tile_group
from layerscope_api.serializers.models import layers_metadata

PICTURE = "@png"
"""What stands behind the name of a layer whose picture is wanted: BYTES, one PNG file an image."""

_TENSOR_OPTIONS = ("channels", "reduce", "region", "stride", "dtype", "layout")
_PICTURE_OPTIONS = tuple(
    name for name in FeatureMapOptions.model_fields if name not in {"image", "layer", "preprocess"}
)
_MICROSECONDS = 1e-6


@dataclass(frozen=True)
class _Output:
    """An output that was asked for, and the address of its tap; `look` is there if it is a picture."""

    name: str
    address: str
    binary: bool
    options: ActivationOptions
    look: FeatureMapOptions | None

    def admit(self, spec: TensorSpec, limits: Limits) -> int:
        """The bytes of memory that making it takes."""
        if self.look is not None:
            images, *shape = spec.shape
            return images * drawing_bytes([replace(spec, shape=(1, *shape))], self.look, limits)
        options = self.options.tensor_options()
        return building_bytes([spec], options, "safetensors" if self.binary else "json")

    def tensors(self, result: Result, limits: Limits) -> list[OutputTensor]:
        """It, and if it was made uint8 the scale and the offset of each channel."""
        whole = result.activations[self.address]
        if self.look is not None:
            return [OutputTensor(self.name, _pictures(result, whole, self.look, limits), self.binary)]
        made = whole.reduced(self.options.tensor_options())
        tensors = [OutputTensor(self.name, made.values, self.binary)]
        if made.quantization is not None:
            for part in ("scale", "offset"):
                values = getattr(made.quantization, part)
                tensors.append(OutputTensor(f"{self.name}@{part}", values, self.binary))
        return tensors


def infer(
    service: Service, reference: str, request: InferenceRequest, execution: Execution, encoding: str | None
) -> Answer:
    """Answer a request. It may block.

    Args:
        service: who answers.
        reference: the model that was asked for.
        request: what was asked.
        execution: the work on the request.
        encoding: how the answer is compressed, if it is.
    """
    model = described(service.engine, reference)
    require_few([each.name for each in request.outputs], service.limits)
    outputs = _outputs(model, request)
    query = Query(
        model=f"{model.name}@{model.version}",
        sources=_sources(model, request),
        layers=list(dict.fromkeys(each.address for each in outputs)),
        timeout=_timeout(request.parameters),
    )

    def answer_bytes(plan: QueryPlan) -> int:
        return _admit(outputs, plan.specs, service.limits)

    with protocol_errors(reference), execution.run(service.engine, query, answer_bytes) as result:
        buffers, media_type, headers = execution.encoded(
            lambda: _written(service, result, request, outputs, encoding)
        )
        return Answer(buffers, media_type, result.model, result.activations, headers)


def _outputs(model: ModelDescription, request: InferenceRequest) -> list[_Output]:
    if request.outputs:
        return [_output(model, each) for each in request.outputs]
    options = _options(ActivationOptions, _TENSOR_OPTIONS, request.parameters)
    return [_Output(name, tap.address, request.binary, options, None) for name, tap in model.outputs]


def _output(model: ModelDescription, asked: RequestedOutput) -> _Output:
    name = asked.name.removesuffix(PICTURE)
    address = output_tap(model, name).address
    if name == asked.name:
        options = _options(ActivationOptions, _TENSOR_OPTIONS, asked.parameters)
        return _Output(asked.name, address, asked.binary, options, None)
    look = _options(FeatureMapOptions, _PICTURE_OPTIONS, asked.parameters, layer=address)
    return _Output(asked.name, address, asked.binary, ActivationOptions(), look)


def _options(kind: type[Options], names: Sequence[str], parameters: Parameters, **fixed: str) -> Options:
    """The options among the parameters. What else there is means something to others, and is passed over."""
    given: dict[str, Any] = {name: parameters[name] for name in names if name in parameters}
    if "dtype" in given:
        given["dtype"] = _dtype(given["dtype"])
    if isinstance(given.get("channels"), int):
        given["channels"] = str(given["channels"])
    return read_options(kind, {**given, **fixed})


def _dtype(name: object) -> object:
    """As the protocol or as numpy calls it."""
    return DTYPES[name].name if isinstance(name, str) and name in DTYPES else name


def _timeout(parameters: Parameters) -> float | None:
    """The seconds that a caller gives the service; the protocol counts microseconds, and 0 is no bound."""
    match parameters.get("timeout"):
        case int(microseconds) | float(microseconds) if microseconds > 0:
            return microseconds * _MICROSECONDS
    return None


def _sources(model: ModelDescription, request: InferenceRequest) -> Sources:
    if request.raw is not None:
        return {ANY_INPUT: [TensorSource(_raw(model, request.raw))]}
    return {each.name: _source(each) for each in request.inputs}


def _source(tensor: InputTensor) -> list[Source]:
    if isinstance(tensor.values, list):
        return [ImageSource(each) for each in tensor.values]
    return [TensorSource(tensor.values)]


def _raw(model: ModelDescription, body: memoryview) -> np.ndarray[Any, Any]:
    """A body that is nothing but the only input, of as many images as there is room for."""
    each = model.inputs[0]
    dtype = DTYPES[datatype_of(each.dtype) or "FP32"]
    size = dtype.itemsize * int(np.prod([size or 0 for size in each.shape]))
    if len(model.inputs) > 1 or size == 0 or len(body) % size:
        raise _no_raw(model, each, len(body))
    sizes = [size or 0 for size in each.shape]
    return np.frombuffer(body, dtype).reshape(-1, *sizes)


def _no_raw(model: ModelDescription, each: Input, size: int) -> InputMismatch:
    return InputMismatch(
        f"A body of {size} bytes and no JSON cannot be the input of {model.name}: send inputs with their names and shapes.",
        input=each.name,
        shape=list(each.shape),
        bytes=size,
    )


def _admit(outputs: Sequence[_Output], specs: Sequence[TensorSpec], limits: Limits) -> int:
    by_address = {spec.address: spec for spec in specs}
    for binary in (True, False):
        sent = [
            by_address[each.address].reduced(each.options.tensor_options())
            for each in outputs
            if each.look is None and each.binary is binary
        ]
        require_fits(sent, "npz" if binary else "json", limits)
    return sum(each.admit(by_address[each.address], limits) for each in outputs)


def _pictures(result: Result, whole: Activation, look: FeatureMapOptions, limits: Limits) -> list[bytes]:
    """One an image."""
    chosen, options = whole.select(look.selected_channels()), look.picture_options()
    metadata = layers_metadata(result.model, [whole.tap.address])
    groups = [tile_group(_image(chosen, number), labelled=look.labels) for number in range(len(whole.values))]
    return [render_groups([each], options, limits=limits, metadata=metadata).data for each in groups]


def _image(activation: Activation, number: int) -> Activation:
    """One image of a batch."""
    one, channels = slice(number, number + 1), activation.channels
    own = channels[one] if channels is not None and channels.ndim == 2 else channels
    return replace(activation, values=activation.values[one], channels=own)


def _written(
    service: Service,
    result: Result,
    request: InferenceRequest,
    outputs: Sequence[_Output],
    encoding: str | None,
) -> tuple[list[Any], str, Mapping[str, str]]:
    head = {"model_name": result.model.name, "model_version": str(result.model.version)}
    if request.id is not None:
        head["id"] = request.id
    tensors = [tensor for each in outputs for tensor in each.tensors(result, service.limits)]
    response = write_inference_response(head, tensors)
    headers = {} if response.json_length is None else {HEADER_LENGTH: str(response.json_length)}
    if encoding is None:
        return response.buffers, response.media_type, headers
    return (
        compress(response.buffers, encoding),
        response.media_type,
        {**headers, "Content-Encoding": encoding},
    )
