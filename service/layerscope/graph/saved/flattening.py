"""Flattening of a saved graph: a function call is replaced by the nodes of the function, named under the calling node.

Loops and branches stay as they are, with their functions: how often those run is known only while they do.
"""

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tensorflow.python.framework import op_def_registry

from layerscope.errors import ModelRefused
from layerscope.graph.analysis.custom_gradients import REGISTERED
from layerscope.graph.analysis.subgraph import data_inputs, needed_nodes, node_of

CALLS = {"PartitionedCall", "StatefulPartitionedCall"}

_FOREIGN_ATTRIBUTES = frozenset({"_class", "_output_shapes"})


@dataclass(frozen=True)
class FlatGraph:
    """A graph without function calls.

    Attributes:
        nodes: by name, in the order in which they were made. Their inputs are written `name:index`. Control inputs are
            left out: they order side effects, and inference has none.
        calls: the names of the nodes that called a function and were replaced.
        callers: for each node and call, which of `calls` it comes from.
        functions: the function of each call, by the call's name.
        aliases: which tensor another name stands for.
        shapes: what was known of a tensor's shape when the graph was made.
    """

    nodes: dict[str, Any]
    calls: frozenset[str]
    callers: Mapping[str, str]
    functions: Mapping[str, str]
    aliases: Mapping[str, str]
    shapes: Mapping[str, Any]

    def resolved(self, tensor: str) -> str:
        """The tensor behind aliases: the result of a call is computed inside its function."""
        while tensor in self.aliases:
            tensor = self.aliases[tensor]
        return tensor

    def needed(self, tensors: Iterable[str]) -> list[Any]:
        """The nodes that compute `tensors`, each after those it reads, otherwise in the order they were made."""
        found = needed_nodes(self.nodes, tensors)
        return _sorted([node for name, node in self.nodes.items() if name in found])


def flatten(graph_def: Any, targets: Iterable[str], replaced: Mapping[str, str] | None = None) -> FlatGraph:
    """Flatten the part of a graph that the nodes `targets` need.

    Args:
        graph_def: with its library of functions.
        targets: names of nodes.
        replaced: tensors to read in place of others, both as `name:index`.
    """
    found = needed_nodes({node.name: node for node in graph_def.node}, targets)
    flattening = _Flattening(graph_def.library.function, replaced or {})
    flattening.add([node for node in graph_def.node if node.name in found], "")
    return flattening.finished()


def canonical(tensor: str) -> str:
    """`name:index`, where a graph leaves an index of zero out."""
    return tensor if ":" in tensor else f"{tensor}:0"


def functions_of(node: Any) -> list[str]:
    """The functions that a node runs."""
    attributes = node.attr.values()
    single = [value.func.name for value in attributes if value.WhichOneof("value") == "func"]
    return single + [function.name for value in attributes for function in value.list.func]


def functions_needed(library: Any, nodes: Iterable[Any]) -> list[Any]:
    """The functions that loops and branches run, and those that these run."""
    known = {function.signature.name: function for function in library.function}
    found: dict[str, Any] = {}
    waiting = list(nodes)
    while waiting:
        for name in functions_of(waiting.pop()):
            if name and name not in found:
                found[name] = function = type(known[name])()
                function.CopyFrom(known[name])
                inside = {node.name: node for node in function.node_def}
                for node in function.node_def:
                    _clear_foreign_attributes(node, inside)
                waiting.extend(function.node_def)
    return list(found.values())


class _Flattening:
    def __init__(self, library: Iterable[Any], replaced: Mapping[str, str]) -> None:
        self._library = {function.signature.name: function for function in library}
        self._aliases = dict(replaced)
        self._nodes: dict[str, Any] = {}
        self._callers: dict[str, str] = {}
        self._functions: dict[str, str] = {}
        self._shapes: dict[str, Any] = {}

    def add(self, nodes: Iterable[Any], caller: str) -> None:
        """Add nodes, named under the call they come from."""
        siblings = {node.name: node for node in nodes}
        scope = f"{caller}/" if caller else ""
        for node in nodes:
            own = type(node)()
            own.CopyFrom(node)
            own.name = scope + node.name
            own.ClearField("input")
            own.input.extend(scope + canonical(name) for name in node.input if not name.startswith("^"))
            shapes = node.attr["_output_shapes"].list.shape if "_output_shapes" in node.attr else ()
            self._shapes |= {f"{own.name}:{number}": shape for number, shape in enumerate(shapes)}
            _clear_foreign_attributes(own, siblings, node)
            self._place(own, caller)

    def finished(self) -> FlatGraph:
        calls = frozenset(self._functions)
        flat = FlatGraph(self._nodes, calls, self._callers, self._functions, self._aliases, self._shapes)
        for node in self._nodes.values():
            inputs = [flat.resolved(name) for name in node.input]
            node.ClearField("input")
            node.input.extend(inputs)
        return flat

    def _place(self, node: Any, caller: str) -> None:
        self._callers[node.name] = caller
        function = self._library.get(node.attr["f"].func.name if node.op in CALLS else node.op)
        if function is None:
            self._nodes[node.name] = node
        else:
            self._functions[node.name] = function.signature.name
            self._call(node, function)

    def _call(self, node: Any, function: Any) -> None:
        scope = f"{node.name}/"
        for argument, value in zip(function.signature.input_arg, node.input, strict=True):
            self._aliases[f"{scope}{argument.name}:0"] = value
        for body in function.node_def:
            self._aliases.update(self._results(body, scope))
        self.add(function.node_def, node.name)
        for number, result in enumerate(function.signature.output_arg):
            self._aliases[f"{node.name}:{number}"] = scope + canonical(function.ret[result.name])

    def _results(self, node: Any, scope: str) -> Iterator[tuple[str, str]]:
        """In a function a tensor is written `node:result:index`, where the index counts within one result."""
        number = 0
        for result in self._signature(node.op).output_arg:
            for index in range(_length(result, node)):
                yield f"{scope}{node.name}:{result.name}:{index}", f"{scope}{node.name}:{number}"
                number += 1

    def _signature(self, op: str) -> Any:
        known = self._library[op].signature if op in self._library else op_def_registry.get(op)
        if known is None:
            raise ModelRefused(
                f"The SavedModel uses the operation {op}, which this TensorFlow does not have:"
                " export it without operations of other libraries.",
                operation=op,
            )
        return known


def _length(result: Any, node: Any) -> int:
    if result.number_attr:
        return int(node.attr[result.number_attr].i)
    return len(node.attr[result.type_list_attr].list.type) if result.type_list_attr else 1


def _sorted(nodes: Sequence[Any]) -> list[Any]:
    """Topological order by Kahn's algorithm; of all nodes that could come next, the one that was made first."""
    places = {node.name: number for number, node in enumerate(nodes)}
    readers: list[list[int]] = [[] for _ in nodes]
    lacking = []
    for number, node in enumerate(nodes):
        makers = {places[node_of(name)] for name in node.input}
        lacking.append(len(makers))
        for maker in makers:
            readers[maker].append(number)
    ready = [number for number, count in enumerate(lacking) if not count]
    order = []
    while ready:
        number = heapq.heappop(ready)
        order.append(nodes[number])
        for reader in readers[number]:
            lacking[reader] -= 1
            if not lacking[reader]:
                heapq.heappush(ready, reader)
    return order


def _clear_foreign_attributes(node: Any, siblings: Mapping[str, Any], written: Any = None) -> None:
    """Remove attributes that are valid only where the node was made: device, colocation, shapes, and the names of gradients.

    Only the name of a gradient that the model defines itself stays. That of SiLU saves memory, and is the derivative of the
    operations inside.

    Args:
        node: the node.
        siblings: the nodes of its graph or function, as they were written, by name.
        written: the node as it was written, if it has been renamed.
    """
    node.device = ""
    for attribute in _FOREIGN_ATTRIBUTES.intersection(node.attr):
        del node.attr[attribute]
    if REGISTERED in node.attr and (node.op != "IdentityN" or _is_silu(written or node, siblings)):
        del node.attr[REGISTERED]


def _is_silu(node: Any, siblings: Mapping[str, Any]) -> bool:
    """Whether a node with a gradient of its own gives x * sigmoid(...), with x as its second input."""
    first, *others = data_inputs(node)
    product = siblings.get(first)
    if product is None or product.op != "Mul" or not others:
        return False
    factors = data_inputs(product)
    return others[0] in factors and any(
        name in siblings and siblings[name].op == "Sigmoid" for name in factors
    )
