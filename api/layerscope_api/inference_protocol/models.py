"""Models as the protocol describes them, and its error messages for unknown models and outputs."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from fastapi import Depends, Request

from layerscope.errors import (
    InvalidAddress,
    InvalidSelector,
    LayerNotFound,
    LayerscopeError,
    ModelNotFound,
    OptionInvalid,
)
from layerscope.execution.interface import Engine, ModelRecord
from layerscope.graph.model import ModelDescription
from layerscope.graph.taps.selectors import require_one
from layerscope.graph.taps.tap import Shape, Tap
from layerscope.models.entry import State
from layerscope_api.inference_protocol.datatypes import datatype_of
from layerscope_api.observability.request_metrics import request_metrics

BATCH = -1
"""The size of an axis of any length, such as the batch axis, in the protocol."""

_STATES: dict[State, str] = {
    "loading": "LOADING",
    "ready": "READY",
    "failed": "UNAVAILABLE",
    "unloading": "UNLOADING",
    "unloaded": "UNAVAILABLE",
}


async def _reference(request: Request) -> str:
    """Read from the path by hand: FastAPI answers 422 to invalid parameters, a status that clients of the protocol do not expect."""
    name, version = (request.path_params.get(part, "") for part in ("model", "version"))
    reference = request_metrics(request.scope).reference = f"{name}@{version}" if version else str(name)
    return reference


ProtocolModel = Depends(_reference)
"""The model in the path of a route, with the version if the path has one."""


@contextmanager
def protocol_errors(reference: str) -> Iterator[None]:
    """Begin the message for an unknown model as Triton does, because users search their logs for it."""
    try:
        yield
    except ModelNotFound as error:
        name = reference.partition("@")[0][:80]
        message = f"Request for unknown model: {name!r} is not found. {error.message}"
        raise ModelNotFound(message, **error.details) from error


def described(engine: Engine, reference: str) -> ModelDescription:
    """A loaded model.

    Raises:
        ModelNotFound, ModelLoading, ModelNotLoaded: see `Registry.lease`.
    """
    with protocol_errors(reference):
        return engine.describe(reference)


def output_tap(model: ModelDescription, name: str) -> Tap:
    """The tap that the name of an output selects: an output of the model, or a layer.

    Raises:
        LayerNotFound, OptionInvalid: the name selects no layer, or several.
    """
    for own, tap in model.outputs:
        if own == name:
            return tap
    try:
        taps = model.taps.select([name])
        require_one(name, [tap.address for tap in taps], "an output is one")
    except (InvalidAddress, InvalidSelector, LayerNotFound, OptionInvalid) as error:
        raise _unexpected(name, model, error) from error
    return taps[0]


def metadata(model: ModelDescription, versions: list[int], *, with_layers: bool) -> dict[str, Any]:
    """The inputs and outputs of a model; `with_layers` adds every tap, since any can be requested as an output."""
    outputs = [(tap.address, tap) for tap in model.taps.outputs()] if with_layers else list(model.outputs)
    return {
        "name": model.name,
        "versions": [str(version) for version in versions],
        "platform": "keras",
        "inputs": [
            {"name": each.name, "datatype": datatype_of(each.dtype), "shape": _shape(each.shape)}
            for each in model.inputs
        ],
        "outputs": [
            {"name": name, "datatype": datatype_of(tap.dtype.name), "shape": _shape(tap.shape)}
            for name, tap in outputs
        ],
    }


def configuration(model: ModelDescription, max_images: int) -> dict[str, Any]:
    """The model configuration of Triton, whose dimensions leave out the batch axis."""
    inputs = [(each.name, each.dtype, each.shape) for each in model.inputs]
    outputs = [(name, tap.dtype.name, tap.shape) for name, tap in model.outputs]
    return {
        "name": model.name,
        "platform": "keras",
        "backend": "layerscope",
        "version_policy": {"specific": {"versions": [model.version]}},
        "max_batch_size": max_images,
        "input": [_configured(*each) for each in inputs],
        "output": [_configured(*each) for each in outputs],
    }


def index(records: Sequence[ModelRecord], *, only_ready: bool) -> list[dict[str, str]]:
    """The state of every version of every model, with the reason if it is not ready."""
    return [
        {
            "name": record.name,
            "version": str(record.version),
            "state": _STATES[record.state],
            "reason": record.reason or ("unloaded" if record.state == "unloaded" else ""),
        }
        for record in records
        if record.state == "ready" or not only_ready
    ]


def _configured(name: str, dtype: str, shape: Shape) -> dict[str, Any]:
    dims = [BATCH if size is None else size for size in shape]
    return {"name": name, "data_type": f"TYPE_{datatype_of(dtype)}", "dims": dims}


def _shape(shape: Shape) -> list[int]:
    return [BATCH, *(BATCH if size is None else size for size in shape)]


def _unexpected(name: str, model: ModelDescription, error: LayerscopeError) -> LayerscopeError:
    return type(error)(
        f"unexpected inference output {name[:100]!r} for model {model.name!r}: {error.message}",
        **error.details,
    )
