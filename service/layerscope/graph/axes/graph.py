"""Graph that axes are followed through: its nodes, with shapes and constants where a rule needs them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import tensorflow as tf

from layerscope.graph.taps.tap import Shape


@dataclass(frozen=True)
class Body:
    """What a call of a function runs: a graph, and the names of the tensors where values enter and leave."""

    graph: "FollowedGraph"
    entrances: tuple[str, ...]
    exits: tuple[str, ...]


class FollowedGraph:
    """The nodes of a graph in topological order.

    Args:
        graph_def: the graph.
        traced: the graph in TensorFlow, which knows the shapes of its tensors. It may lack copies that were added.
    """

    def __init__(self, graph_def: Any, traced: Any) -> None:
        self.nodes: Mapping[str, Any] = {node.name: node for node in graph_def.node}
        self._traced = traced
        self._refined: dict[str, Shape] = {}
        self._inferred = cache(self._shape)

    def in_order(self) -> Iterator[Any]:
        """Every node, each behind those that it reads."""
        done: set[str] = set()
        for first in self.nodes:
            waiting = [first]
            while waiting:
                name = waiting[-1]
                missing = [] if name in done else [own for own in self._sources(name) if own not in done]
                if missing:
                    waiting.extend(missing)
                    continue
                waiting.pop()
                if name not in done:
                    done.add(name)
                    yield self.nodes[name]

    def _sources(self, name: str) -> Iterator[str]:
        """What a node reads, without the way back in a loop of TensorFlow 1."""
        for tensor in self.nodes[name].input if self.nodes[name].op != "NextIteration" else ():
            if not tensor.startswith("^"):
                yield tensor.partition(":")[0]

    def shape(self, tensor: str) -> Shape | None:
        """The shape of a tensor, batch axis included; None if not even the number of axes is known."""
        return self._refined.get(tensor) or self._inferred(tensor)

    def refine(self, tensor: str, shape: Shape) -> None:
        """Note a shape that tells more than TensorFlow infers."""
        self._refined[tensor] = shape

    def body(self, name: str) -> Body | None:
        """The body of a function; None where TensorFlow does not have it as a graph."""
        function = self._traced._get_function(name)  # noqa: SLF001 - there is no public way to the functions of a graph
        graph = getattr(function, "graph", None)
        if graph is None:
            return None
        return Body(
            FollowedGraph(graph.as_graph_def(), graph),
            tuple(tensor.name for tensor in graph.inputs),
            tuple(tensor.name for tensor in graph.outputs),
        )

    def _shape(self, tensor: str) -> Shape | None:
        found = self._traced_shape(tensor)
        while found is None and self.node(tensor).op == "Identity":
            tensor = full_name(self.node(tensor).input[0])
            found = self._traced_shape(tensor)
        return found

    def _traced_shape(self, tensor: str) -> Shape | None:
        try:
            shape = self._traced.get_tensor_by_name(tensor).shape
        except (KeyError, ValueError):
            return None
        return None if shape.rank is None else tuple(shape.as_list())

    def constant(self, tensor: str) -> Any:
        """The value of a constant of the graph; None if the tensor is none."""
        node = self.node(tensor)
        while node.op == "Identity":
            node = self.node(node.input[0])
        return tf.make_ndarray(node.attr["value"].tensor) if node.op == "Const" else None

    def node(self, tensor: str) -> Any:
        """The node that makes a tensor."""
        return self.nodes[tensor.partition(":")[0]]


def full_name(tensor: str) -> str:
    """The name of a tensor with the number of the output, which is left out in a graph if it is the first."""
    return tensor if ":" in tensor else f"{tensor}:0"
