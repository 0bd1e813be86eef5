"""The part of a graph that some of its tensors need."""

import threading
from collections.abc import Iterable, Mapping
from typing import Any

import tensorflow as tf
from cachetools import LRUCache

_KEPT = 16


class GraphParts:
    """A serialized GraphDef, to take parts out of. Its `nodes` are by name."""

    def __init__(self, serialized: bytes) -> None:
        self._whole = tf.compat.v1.GraphDef.FromString(serialized)
        self.nodes = {node.name: node for node in self._whole.node}
        self._needed: LRUCache[str, set[str]] = LRUCache(_KEPT)
        self._lock = threading.Lock()

    def are_placeholders(self, tensors: Iterable[str]) -> bool:
        """Whether the graph computes none of `tensors` itself."""
        return all(self.nodes[node_of(name)].op == "Placeholder" for name in tensors)

    def needed(self, tensor: str) -> set[str]:
        """The names of the nodes that computing a tensor needs."""
        with self._lock:
            found = self._needed.get(tensor)
            if found is None:
                found = self._needed[tensor] = needed_nodes(self.nodes, [tensor])
        return found

    def needed_for(self, tensors: Iterable[str]) -> Any:
        """A GraphDef with what computing `tensors`, which are names, needs and nothing else."""
        needed = needed_nodes(self.nodes, tensors)
        part = tf.compat.v1.GraphDef(versions=self._whole.versions, library=self._whole.library)
        part.node.extend(node for node in self._whole.node if node.name in needed)
        return part


def needed_nodes(nodes: Mapping[str, Any], tensors: Iterable[str]) -> set[str]:
    """The names of the nodes, of all `nodes` by name, that computing `tensors` needs."""
    found: set[str] = set()
    waiting = [node_of(name) for name in tensors]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(map(node_of, nodes[name].input))
    return found


def node_of(tensor: str) -> str:
    """The name of the node that a tensor, `node:0`, or a control input, `^node`, is of."""
    return tensor.removeprefix("^").split(":")[0]
