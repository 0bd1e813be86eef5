"""Models, versions and layers as JSON."""

from collections.abc import Iterable, Sequence
from typing import Any

from layerscope.attribution import METHODS
from layerscope.attribution.target_layers import why_no_attribution
from layerscope.encode import tokens_json
from layerscope.execution.interface import Engine, ModelRecord, Result
from layerscope.graph.model import LoadedModel, ModelDescription
from layerscope.graph.taps.geometry import why_not_over_image
from layerscope.graph.taps.tap import Tap
from layerscope.models.changes import Addition
from layerscope.text import Tokenizer
from layerscope_api.schemas.models import (
    FileBody,
    InputBody,
    LayerList,
    LayerRow,
    ModelBody,
    ModelIdentity,
    ModelList,
    ModelRow,
    NamedVersionBody,
    OutputBody,
    TokenGridBody,
    TokenizerBody,
    UnreachableLayer,
    UploadBody,
    VersionBody,
)

_IN_A_LOOP = "It runs inside a loop, where it has a value for each step, or in a branch of a condition, where it may have none."

_LAYER_METHODS = [method for method in METHODS.values() if method.kind == "layer"]

_PICTURES = {0: "value", 1: "vector", 2: "matrix", 3: "slices", 4: "slices"}
"""Pictures of values that are no maps over an image, by the number of axes."""


def identity(model: ModelDescription) -> ModelIdentity:
    """The name, the version and the digest of a model."""
    return ModelIdentity(name=model.name, version=model.version, digest=model.digest)


def preprocessing_body(model: ModelDescription) -> dict[str, dict[str, Any] | None]:
    """The preprocessing of each input, as answers report it."""
    return {
        name: each.model_dump(mode="json") if each else None for name, each in model.preprocessing.items()
    }


def result_origin(result: Result) -> dict[str, Any]:
    """Where a result comes from: the keys with which every JSON answer of a run begins."""
    return {
        "model": identity(result.model).model_dump(),
        "images": result.activations.images,
        "preprocessing": preprocessing_body(result.model),
        "warnings": result.activations.warnings,
        **({"edits": result.activations.edits} if result.activations.edits else {}),
        **({} if result.activations.seed is None else {"seed": result.activations.seed}),
        **({"tokens": tokens_json(result.activations.tokens)} if result.activations.tokens else {}),
    }


def model_list(engine: Engine) -> ModelList:
    """Every model, in whatever state it is."""
    versions: dict[str, list[VersionBody]] = {}
    sync_error = engine.models.sync_error
    for record in engine.catalogue():
        versions.setdefault(record.name, []).append(_version(record))
    return ModelList(
        models=[
            ModelRow(name=name, labels=engine.labels(name), versions=rows) for name, rows in versions.items()
        ],
        trouble=None if sync_error is None else sync_error.message,
    )


def model_body(engine: Engine, model: ModelDescription) -> ModelBody:
    """The description of one loaded version."""
    labels = engine.labels(model.name)
    return ModelBody(
        **identity(model).model_dump(),
        state="ready",
        labels=[label for label, version in labels.items() if version == model.version],
        inputs=_inputs(model),
        outputs=[
            OutputBody(
                name=name,
                address=tap.address,
                shape=list(tap.shape),
                axes=list(tap.axes),
                dtype=tap.dtype.name,
            )
            for name, tap in model.outputs
        ],
        classes=None if model.classes is None else list(model.classes),
        parameters=model.parameters,
        memory_bytes=model.memory_bytes,
        layers=len(model.taps.calls),
        opened_with=model.opened_with,
        warnings=list(model.warnings),
        tokenizer=None if model.tokenizer is None else _tokenizer(model.tokenizer),
    )


def layer_list(model: ModelDescription, taps: Iterable[Tap]) -> LayerList:
    """The taps of a model, one row each."""
    return LayerList(
        model=identity(model),
        layers=[_layer_row(model, tap) for tap in taps],
        unreachable=[UnreachableLayer(path=path, reason=_IN_A_LOOP) for path in model.unreachable],
    )


def named_version(record: ModelRecord) -> NamedVersionBody:
    """One version of a model in its present state."""
    return NamedVersionBody(name=record.name, **_version(record).model_dump())


def upload_body(added: Addition[LoadedModel]) -> UploadBody:
    """The result of an upload: the version that the file became, and the report of its check."""
    return UploadBody(
        **named_version(ModelRecord.of(added.entry)).model_dump(), file=FileBody.model_validate(added.report)
    )


def _tokenizer(tokenizer: Tokenizer) -> TokenizerBody:
    return TokenizerBody(
        kind=tokenizer.kind,
        vocabulary=tokenizer.vocabulary.size,
        inputs=dict(tokenizer.roles),
        length=tokenizer.length,
        padding=tokenizer.padding,
        padding_id=tokenizer.padding_id,
        truncation=tokenizer.truncation,
    )


def _version(record: ModelRecord) -> VersionBody:
    model = record.description
    return VersionBody(
        version=record.version,
        state=record.state,
        reason=record.reason,
        digest=model.digest if model else None,
        memory_bytes=model.memory_bytes if model else None,
        opened_with=model.opened_with if model else None,
        inputs=_inputs(model) if model else None,
    )


def _inputs(model: ModelDescription) -> list[InputBody]:
    preprocessing = preprocessing_body(model)
    return [
        InputBody(
            name=each.name,
            shape=list(each.shape),
            axes=list(tap.axes),
            dtype=each.dtype,
            preprocessing=preprocessing[each.name],
            features=list(model.features[each.name]) if each.name in model.features else None,
        )
        for each, tap in zip(model.inputs, model.taps.select(["input"]), strict=True)
    ]


def _layer_row(model: ModelDescription, tap: Tap) -> LayerRow:
    layer = tap.layer
    no_map = why_not_over_image(tap.axes, tap.tensor.grid)
    picture = _PICTURES.get(len(tap.shape)) if no_map else "map"
    no_overlay = no_map or (
        None if any(model.preprocessing.values()) else "No input of the model takes images."
    )
    grid = tap.tensor.grid
    reasons = {method.name: why_no_attribution(model, method, tap) for method in _LAYER_METHODS}
    axis = tap.channel_axis
    return LayerRow(
        address=tap.address,
        index=layer.index,
        type=layer.type,
        call=layer.call,
        output=tap.place.output,
        sites=list(layer.tensors),
        shape=list(tap.shape),
        axes=list(tap.axes),
        grid=None if grid is None else TokenGridBody.model_validate(grid),
        dtype=tap.dtype.name,
        channels=None if axis is None else tap.shape[axis],
        parameters=layer.parameters,
        bytes_per_image=tap.bytes_per_image,
        inbound=list(layer.inbound),
        group=layer.is_group,
        can=[
            "tensor",
            *([picture] if picture else []),
            *([] if no_overlay else ["overlay"]),
            *(name for name, reason in reasons.items() if reason is None),
        ],
        cannot={
            **({} if picture else {"picture": f"A tensor of {len(tap.shape)} axes an image has no picture."}),
            **({"overlay": no_overlay} if no_overlay else {}),
            **{name: reason for name, reason in reasons.items() if reason is not None},
        },
    )


def layers_metadata(model: ModelDescription, addresses: Sequence[str]) -> dict[str, str]:
    """The text chunks of a picture file that name the model and the layers of its values."""
    return {"layer": ",".join(addresses), "model": f"{model.name}@{model.version}", "digest": model.digest}
