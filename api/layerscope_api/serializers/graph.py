"""A model as a graph for drawing: layer calls are nodes, and calls of nested layers are groups around their nodes."""

from functools import cache
from typing import overload

from layerscope.graph.model import ModelDescription
from layerscope.graph.taps.addresses import Address
from layerscope.graph.taps.tap import LayerCall
from layerscope_api.schemas.models import GraphBody, GraphEdge, GraphGroup, GraphNode
from layerscope_api.serializers.models import identity

Path = tuple[str, ...]


def graph_body(model: ModelDescription) -> GraphBody:
    """The graph of a model. A nested layer whose inner layers have no taps is a node instead of a group."""
    calls = [call for call in model.taps.calls if call.taps]
    around = {call.path[:length] for call in calls for length in range(1, len(call.path))}
    groups = [call for call in calls if call.path in around]
    nodes = [call for call in calls if call.path not in around]
    surrounding = _surrounding(calls, groups)
    return GraphBody(
        model=identity(model),
        nodes=[_node(call, surrounding.get(call)) for call in nodes],
        edges=_edges(model, nodes, around),
        groups=[
            GraphGroup(path=_key(call), name=_name(call), type=call.type, parent=_key(surrounding.get(call)))
            for call in groups
        ],
    )


def _surrounding(calls: list[LayerCall], groups: list[LayerCall]) -> dict[LayerCall, LayerCall]:
    """The call of the group that each call is inside of.

    The value of a group appears behind those of the layers inside it, so each call of a group contains all that is inside
    its path and in no call of it yet. A module that is no layer itself is no group.
    """
    surrounding: dict[LayerCall, LayerCall] = {}
    waiting: list[LayerCall] = []
    paths = {call.path for call in groups}
    for call in calls:
        if call.path in paths:
            inside = [each for each in waiting if each.path[: len(call.path)] == call.path != each.path]
            surrounding.update(dict.fromkeys(inside, call))
            waiting = [each for each in waiting if each not in surrounding]
        waiting.append(call)
    return surrounding


def _edges(model: ModelDescription, nodes: list[LayerCall], groups: set[Path]) -> list[GraphEdge]:
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


def _node(call: LayerCall, group: LayerCall | None) -> GraphNode:
    tap = call.taps[0]
    return GraphNode(
        address=tap.address, name=_name(call), type=call.type, group=_key(group), shape=list(tap.shape)
    )


def _name(call: LayerCall) -> str:
    """The name of a layer, and the number of its call as in addresses: `block`, `block:1`."""
    return f"{call.path[-1]}:{call.call}" if call.call else call.path[-1]


@overload
def _key(call: LayerCall) -> str: ...
@overload
def _key(call: LayerCall | None) -> str | None: ...
def _key(call: LayerCall | None) -> str | None:
    """The address of a call; None for none."""
    return None if call is None else str(Address(call.path, call.call))
