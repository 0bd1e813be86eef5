"""Models, layers and graphs as the service describes them."""

from collections.abc import Iterable
from typing import Any

from layerscope.execution.engine import Engine
from layerscope.graph.addresses import encode_path
from layerscope.graph.model import LoadedModel, ModelDescription
from layerscope.graph.taps import LayerCall, Tap
from layerscope.models.registry import Entry
from layerscope_api.schemas import (
    GraphBody,
    GraphEdge,
    GraphGroup,
    GraphNode,
    InputBody,
    LayerList,
    LayerRow,
    ModelBody,
    ModelIdentity,
    ModelList,
    ModelRow,
    OutputBody,
    UnreachableLayer,
    VersionBody,
)

_IN_A_LOOP = "It runs inside a loop over time, where no single value exists to be read."

_PICTURES = {1: "vector", 2: "matrix", 3: "map", 4: "slices"}


def identity(model: ModelDescription) -> ModelIdentity:
    """Which model, which version."""
    return ModelIdentity(name=model.name, version=model.version, digest=model.digest)


def preprocessing_body(model: ModelDescription) -> dict[str, dict[str, Any] | None]:
    """How images become each input, as it is echoed in answers."""
    return {
        name: each.model_dump(mode="json") if each else None for name, each in model.preprocessing.items()
    }


def model_list(engine: Engine) -> ModelList:
    """Every model, whatever its state."""
    versions: dict[str, list[VersionBody]] = {}
    for entry in engine.catalogue():
        versions.setdefault(entry.source.name, []).append(_version(entry))
    return ModelList(
        models=[
            ModelRow(name=name, labels=engine.labels(name), versions=rows) for name, rows in versions.items()
        ]
    )


def model_body(engine: Engine, model: ModelDescription) -> ModelBody:
    """Everything about one loaded version."""
    labels = engine.labels(model.name)
    return ModelBody(
        **identity(model).model_dump(),
        state="ready",
        labels=[label for label, version in labels.items() if version == model.version],
        inputs=_inputs(model),
        outputs=[
            OutputBody(name=name, address=tap.address, shape=list(tap.shape), dtype=tap.dtype.name)
            for name, tap in model.outputs
        ],
        classes=None if model.classes is None else list(model.classes),
        parameters=model.parameters,
        memory_bytes=model.memory_bytes,
        layers=len(model.taps.calls),
        warnings=list(model.warnings),
    )


def layer_list(model: ModelDescription, taps: Iterable[Tap]) -> LayerList:
    """One row a tap."""
    return LayerList(
        model=identity(model),
        layers=[_layer_row(tap) for tap in taps],
        unreachable=[UnreachableLayer(path=path, reason=_IN_A_LOOP) for path in model.unreachable],
    )


def graph_body(model: ModelDescription) -> GraphBody:
    """Nodes and edges, with nested layers as groups."""
    calls = model.taps.calls
    groups = {call.path: call for call in calls if call.is_group}
    nodes = [call for call in calls if not call.is_group and call.taps]
    return GraphBody(
        model=identity(model),
        nodes=[_node(call) for call in nodes],
        edges=[
            GraphEdge(source=source, target=call.taps[0].address)
            for call in nodes
            for source in dict.fromkeys(_inner(model, address) for address in call.inbound)
        ],
        groups=[
            GraphGroup(path=encode_path(path), name=path[-1], type=call.type, parent=_parent(path))
            for path, call in groups.items()
        ],
    )


def _version(entry: Entry[LoadedModel]) -> VersionBody:
    model = entry.model.description if entry.model else None
    return VersionBody(
        version=entry.source.version,
        state=entry.state,
        reason=entry.reason,
        digest=model.digest if model else None,
        memory_bytes=model.memory_bytes if model else None,
        inputs=_inputs(model) if model else None,
    )


def _inputs(model: ModelDescription) -> list[InputBody]:
    preprocessing = preprocessing_body(model)
    return [
        InputBody(
            name=each.name, shape=list(each.shape), dtype=each.dtype, preprocessing=preprocessing[each.name]
        )
        for each in model.inputs
    ]


def _layer_row(tap: Tap) -> LayerRow:
    layer = tap.layer
    picture = _PICTURES.get(len(tap.shape))
    axis = tap.channel_axis
    return LayerRow(
        address=tap.address,
        index=layer.index,
        type=layer.type,
        call=layer.call,
        output=tap.place.output,
        sites=list(layer.tensors),
        shape=list(tap.shape),
        dtype=tap.dtype.name,
        channels=None if axis is None else tap.shape[axis],
        parameters=layer.parameters,
        bytes_per_image=tap.bytes_per_image,
        inbound=list(layer.inbound),
        group=layer.is_group,
        can=["tensor", *([picture] if picture else [])],
        cannot={} if picture else {"picture": f"A tensor of {len(tap.shape)} axes an image has no picture."},
    )


def _node(call: LayerCall) -> GraphNode:
    tap = call.taps[0]
    return GraphNode(
        address=tap.address,
        name=call.path[-1],
        type=call.type,
        group=_parent(call.path),
        shape=list(tap.shape),
    )


def _parent(path: tuple[str, ...]) -> str | None:
    return encode_path(path[:-1]) if len(path) > 1 else None


def _inner(model: ModelDescription, address: str) -> str:
    """The layer that made a group's value: edges join layers, and groups are only drawn around them."""
    tap = model.taps[address]
    while tap.layer.is_group:
        inside = [
            other
            for other in model.taps.outputs()
            if other.tensor.name == tap.tensor.name
            and other is not tap
            and other.layer.path[:-1][: len(tap.layer.path)] == tap.layer.path
        ]
        if not inside:
            break
        tap = inside[-1]
    return tap.address
