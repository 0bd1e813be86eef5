"""Structure of a flat graph: the nodes of each layer, what depends on the inputs, and layers that run inside loops."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from layerscope.graph.analysis.subgraph import node_of
from layerscope.graph.saved.flattening import CALLS, FlatGraph, functions_of
from layerscope.graph.saved.graph import ServingGraph
from layerscope.graph.saved.scopes import PASSIVE, SavedNode, ScopeCall, ScopeNames, scope_calls
from layerscope.graph.taps.addresses import encode_path


class Structure:
    """Where the layers of a graph are.

    Args:
        serving: the graph.
        library: the functions that its loops and branches run.
        inputs: the names of the inputs. No layer can have one of them.
        with_slashes: the names of layers that have a slash in them.

    Attributes:
        fed: the names of the nodes that depend on the inputs.
        calls: of the outermost layers.
        unreachable: the paths of layers that run inside a loop or a branch, in the form they have in addresses.
    """

    def __init__(
        self, serving: ServingGraph, library: Any, inputs: Iterable[str], with_slashes: Iterable[str] = ()
    ) -> None:
        flat, nodes = serving.flat, serving.nodes
        self._nodes = {node.name: node for node in nodes}
        self._entrances = set(map(node_of, serving.entrances))
        self.fed = _fed(nodes, self._entrances)
        saved = [self._saved(node) for node in nodes if self._computes(node)]
        loops = list(_loops(flat, library, nodes))
        inside = [name for loop in loops for name in loop.inside]
        transparent = [*flat.calls, *(loop.name for loop in loops)]
        names = ScopeNames(saved, [*flat.nodes, *inside], transparent, with_slashes)
        looped = {path for loop in loops for path in loop.layers(names)}
        self.calls = _without(scope_calls(saved, names, inputs), looped)
        self.unreachable = tuple(sorted(map(encode_path, looped)))
        self._in_layers = {node.name for call in self.calls for node in call.nodes}

    def made(self, tensor: str) -> str:
        """The tensor that an output passes on: functions hand their results out through identities."""
        node = self._nodes[node_of(tensor)]
        while node.op == "Identity" and node.name not in self._in_layers | self._entrances:
            tensor = node.input[0]
            node = self._nodes[node_of(tensor)]
        return tensor

    def _computes(self, node: Any) -> bool:
        return node.op not in {"Placeholder", "VarHandleOp"} and node.name not in self._entrances

    def _saved(self, node: Any) -> SavedNode:
        makers = [node_of(tensor) for tensor in node.input]
        variables = frozenset(name for name in makers if self._nodes[name].op == "VarHandleOp")
        return SavedNode(node.name, node.op, variables, node.name in self.fed)


def _fed(nodes: Iterable[Any], entrances: Iterable[str]) -> frozenset[str]:
    fed = set(entrances)
    for node in nodes:
        if any(node_of(tensor) in fed for tensor in node.input):
            fed.add(node.name)
    return frozenset(fed)


def _without(calls: Iterable[ScopeCall], paths: Collection[tuple[str, ...]]) -> list[ScopeCall]:
    return [
        replace(call, children=_without(call.children, paths)) for call in calls if call.path not in paths
    ]


@dataclass(frozen=True)
class _Loop:
    """A node that runs functions, and the names and operations of what is inside these."""

    name: str
    inside: dict[str, str]

    def layers(self, names: ScopeNames) -> Iterator[tuple[str, ...]]:
        """The paths of the layers inside."""
        here = len(names.layers(self.name))
        for name, op in self.inside.items():
            scopes = names.layers(name)
            for depth in range(here + 1, len(scopes) + 1) if op not in PASSIVE else ():
                yield tuple(names.layer(scope) for scope in scopes[:depth])


def _loops(flat: FlatGraph, library: Any, nodes: Iterable[Any]) -> Iterator[_Loop]:
    """Every loop and branch, also those inside others."""
    functions = {function.signature.name: function for function in library.function}
    waiting = [(node.name, flat.callers.get(node.name, ""), functions_of(node)) for node in nodes]
    while waiting:
        name, caller, running = waiting.pop()
        scope = f"{caller}/" if caller else ""
        inside: dict[str, str] = {}
        for node in (node for function in running for node in functions[function].node_def):
            inner = scope + node.name
            inside[inner] = node.op
            waiting.append((inner, inner if node.op in CALLS else caller, functions_of(node)))
        if running:
            yield _Loop(name, inside)
