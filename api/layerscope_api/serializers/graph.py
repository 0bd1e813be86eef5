"""A model as a graph for drawing: layer calls are nodes, and nested layers are groups around their nodes."""

from functools import cache

from layerscope.graph.model import ModelDescription
from layerscope.graph.taps.addresses import encode_path
from layerscope.graph.taps.tap import LayerCall
from layerscope_api.schemas.models import GraphBody, GraphEdge, GraphGroup, GraphNode
from layerscope_api.serializers.models import identity

Path = tuple[str, ...]


def graph_body(model: ModelDescription) -> GraphBody:
    """The graph of a model. A nested layer whose inner layers have no taps is a node instead of a group."""
    calls = [call for call in model.taps.calls if call.taps]
    around = {call.path[:length] for call in calls for length in range(1, len(call.path))}
    groups = {call.path: call for call in calls if call.path in around}
    nodes = [call for call in calls if call.path not in groups]
    return GraphBody(
        model=identity(model),
        nodes=[_node(call, groups) for call in nodes],
        edges=_edges(model, nodes, groups),
        groups=[
            GraphGroup(path=encode_path(path), name=path[-1], type=call.type, parent=_box(path, groups))
            for path, call in groups.items()
        ],
    )


def _edges(model: ModelDescription, nodes: list[LayerCall], groups: dict[Path, LayerCall]) -> list[GraphEdge]:
    """The edges between nodes. An edge from a group is drawn from the node inside it that computes the value."""

    @cache
    def makers(address: str) -> tuple[LayerCall, ...]:
        tap = model.taps[address]
        if tap.layer.path not in groups:
            return (tap.layer,)
        return tuple(maker for origin in tap.layer.origins[tap.place.output] for maker in makers(origin))

    return [
        GraphEdge(source=source.taps[0].address, target=call.taps[0].address)
        for call in nodes
        for source in dict.fromkeys(maker for address in call.inbound for maker in makers(address))
    ]


def _node(call: LayerCall, groups: dict[Path, LayerCall]) -> GraphNode:
    tap = call.taps[0]
    return GraphNode(
        address=tap.address,
        name=call.path[-1],
        type=call.type,
        group=_box(call.path, groups),
        shape=list(tap.shape),
    )


def _box(path: Path, groups: dict[Path, LayerCall]) -> str | None:
    """The innermost group around a path; None if there is none. A module that is no layer itself is no group."""
    outer = (path[:length] for length in range(len(path) - 1, 0, -1))
    return next((encode_path(each) for each in outer if each in groups), None)
