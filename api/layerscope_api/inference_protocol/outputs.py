"""The requested outputs of an inference: which layer each is, as a tensor or as pictures, and with which options."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from layerscope.encode import building_bytes, require_fits
from layerscope.execution.interface import Result
from layerscope.graph.model import ModelDescription
from layerscope.limits import Limits
from layerscope.tensors.activations import Activation
from layerscope.tensors.spec import TensorSpec
from layerscope_api.inference_protocol.datatypes import DTYPES
from layerscope_api.inference_protocol.models import output_tap
from layerscope_api.inference_protocol.parameters import Parameters
from layerscope_api.inference_protocol.request import InferenceRequest, RequestedOutput
from layerscope_api.inference_protocol.response import OutputTensor
from layerscope_api.schemas.options import ActivationOptions, Options, RunOptions, read_options
from layerscope_api.schemas.picture_options import FeatureMapOptions
from layerscope_api.serializers.feature_map import render_feature_map, rendering_bytes
from layerscope_api.serializers.token_names import drawn_tokens

PICTURE_SUFFIX = "@png"
"""The end of an output's name that requests the picture of a layer: datatype BYTES, one PNG file for each image."""

_TENSOR_OPTIONS = ("channels", "reduce", "region", "stride", "dtype", "layout")
_PICTURE_OPTIONS = tuple(
    name for name in FeatureMapOptions.model_fields if name not in {"layer", *RunOptions.model_fields}
)


@dataclass(frozen=True)
class Output:
    """A requested output.

    Attributes:
        name: the name in the request.
        address: the address of its tap.
        binary: whether it is sent in binary.
        options: the options of a tensor.
        picture_options: the options of a picture; None for a tensor.
    """

    name: str
    address: str
    binary: bool
    options: ActivationOptions
    picture_options: FeatureMapOptions | None

    def memory_bytes(self, spec: TensorSpec, limits: Limits) -> int:
        """The bytes of memory that making the output takes besides the values."""
        if self.picture_options is not None:
            images, *shape = spec.shape
            one_image = replace(spec, shape=(1, *shape))
            return images * rendering_bytes([one_image], self.picture_options, limits)
        options = self.options.tensor_options()
        return building_bytes([spec], options, "safetensors" if self.binary else "json")

    def tensors(self, result: Result, limits: Limits) -> list[OutputTensor]:
        """The tensor of the output; if it is quantized to uint8, the scale and the offset of each channel follow."""
        whole = result.activations[self.address]
        if self.picture_options is not None:
            texts = result.activations.tokens
            pictures = [
                render_feature_map(
                    result.model,
                    [each],
                    self.picture_options,
                    limits,
                    tokens=drawn_tokens(texts[number : number + 1], result.model.tokenizer),
                ).data
                for number, each in enumerate(_images(whole))
            ]
            return [OutputTensor(self.name, pictures, self.binary)]
        reduced = whole.reduced(self.options.tensor_options())
        tensors = [OutputTensor(self.name, reduced.values, self.binary)]
        if reduced.quantization is not None:
            for part in ("scale", "offset"):
                values = getattr(reduced.quantization, part)
                tensors.append(OutputTensor(f"{self.name}@{part}", values, self.binary))
        return tensors


def requested_outputs(model: ModelDescription, request: InferenceRequest) -> list[Output]:
    """The outputs of a request; if it names none, the outputs of the model.

    Raises:
        LayerNotFound, OptionInvalid: a name selects no layer or several, or a parameter is invalid.
    """
    if request.outputs:
        return [_output(model, each) for each in request.outputs]
    options = _options(ActivationOptions, _TENSOR_OPTIONS, request.parameters)
    return [Output(name, tap.address, request.binary, options, None) for name, tap in model.outputs]


def outputs_bytes(outputs: Sequence[Output], specs: Sequence[TensorSpec], limits: Limits) -> int:
    """The bytes of memory that making the outputs takes, from the shapes of the layers alone.

    Raises:
        AnswerTooLarge: the tensors are too large for one answer.
    """
    by_address = {spec.address: spec for spec in specs}
    for binary in (True, False):
        sent = [
            by_address[each.address].reduced(each.options.tensor_options())
            for each in outputs
            if each.picture_options is None and each.binary is binary
        ]
        require_fits(sent, "npz" if binary else "json", limits)
    return sum(each.memory_bytes(by_address[each.address], limits) for each in outputs)


def _output(model: ModelDescription, requested: RequestedOutput) -> Output:
    name = requested.name.removesuffix(PICTURE_SUFFIX)
    address = output_tap(model, name).address
    if name == requested.name:
        options = _options(ActivationOptions, _TENSOR_OPTIONS, requested.parameters)
        return Output(requested.name, address, requested.binary, options, None)
    picture = _options(FeatureMapOptions, _PICTURE_OPTIONS, requested.parameters, layer=address)
    return Output(requested.name, address, requested.binary, ActivationOptions(), picture)


def _options(kind: type[Options], names: Sequence[str], parameters: Parameters, **fixed: str) -> Options:
    """The options among the parameters. Other parameters are ignored: the protocol and its clients define more of them."""
    given: dict[str, Any] = {name: parameters[name] for name in names if name in parameters}
    if "dtype" in given:
        given["dtype"] = _dtype(given["dtype"])
    if isinstance(given.get("channels"), int):
        given["channels"] = str(given["channels"])
    return read_options(kind, {**given, **fixed})


def _dtype(name: object) -> object:
    """The numpy name of a dtype, which may be given by its name in the protocol."""
    return DTYPES[name].name if isinstance(name, str) and name in DTYPES else name


def _images(activation: Activation) -> list[Activation]:
    """Each image of a batch as a batch of one."""
    return [_image(activation, number) for number in range(len(activation.values))]


def _image(activation: Activation, number: int) -> Activation:
    one, channels = slice(number, number + 1), activation.channels
    # Where channels are selected by their values, each image has a row of its own.
    own = channels[one] if channels is not None and channels.ndim == 2 else channels
    return replace(activation, values=activation.values[one], channels=own)
