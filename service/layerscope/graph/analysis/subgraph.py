"""Subgraphs: the part of a graph that some tensors need, and the nodes on all paths between two tensors."""

import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

import tensorflow as tf
from cachetools import LRUCache

_KEPT = 16


class GraphParts:
    """Takes parts out of one graph. Safe to use from many threads.

    Attributes:
        nodes: all nodes, by name.
    """

    def __init__(self, serialized: bytes) -> None:
        self._whole = tf.compat.v1.GraphDef.FromString(serialized)
        self.nodes = {node.name: node for node in self._whole.node}
        self._needed: LRUCache[str, set[str]] = LRUCache(_KEPT)
        self._lock = threading.Lock()

    @cached_property
    def functions(self) -> dict[str, Any]:
        """The nodes of the functions that loops and branches run, by the function's name."""
        return {each.signature.name: each.node_def for each in self._whole.library.function}

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

    def dominators(self, source: str, target: str) -> set[str]:
        """The dominators of `target` in the graph that begins at `source`: the nodes on every path between them.

        Args:
            source: the name of a tensor.
            target: the name of a tensor that is computed from it.

        Returns:
            The names of the nodes, those of `source` and `target` among them.
        """
        # In topological order, an edge spans the nodes between its two ends. A node is on every path exactly if no edge
        # spans it: then each path must pass through it. So one pass that remembers the furthest reader so far is enough.
        start = node_of(source)
        places: dict[str, int] = {}
        last_reader: dict[str, int] = {}
        for name in in_order(self.nodes, node_of(target)):
            read = [each for each in map(node_of, self.nodes[name].input) if each in places]
            if read or name == start:
                places[name] = len(places)
                last_reader |= dict.fromkeys(read, places[name])
        found: set[str] = set()
        furthest = 0
        for name, place in places.items():
            if furthest <= place:
                found.add(name)
            furthest = max(furthest, last_reader.get(name, place))
        return found

    def frontier(self, source: str, target: str, stops: Collection[str]) -> list[str]:
        """The values besides `source` that `target` is computed from, where only what lies behind `source` is run.

        Args:
            source: the name of a tensor.
            target: the name of a tensor that is computed from it.
            stops: the names of the tensors that may be such a value.

        Returns:
            Names of `stops`. Each is read behind the source and computed without it. What lies between them and their
            readers is run again, but nothing that comes before them.

        Raises:
            LookupError: one of the values can be none of `stops`.
        """
        first = node_of(source)
        order = list(in_order(self.nodes, node_of(target)))
        behind: set[str] = set()
        varying: set[str] = set()
        for name in order:
            read = {node_of(each) for each in self.nodes[name].input}
            if name == first or read & behind:
                behind.add(name)
            if self.nodes[name].op == "Placeholder" or read & varying:
                varying.add(name)
        by_node = {node_of(name): name for name in stops}
        found: dict[str, None] = {}
        waiting = [
            read
            for name in behind - {first}
            for read in map(node_of, self.nodes[name].input)
            if read not in behind
        ]
        seen: set[str] = set()
        while waiting:
            name = waiting.pop()
            if name in seen or name not in varying:
                continue
            seen.add(name)
            if name in by_node:
                found[by_node[name]] = None
            elif self.nodes[name].op == "Placeholder":
                raise LookupError(name)
            else:
                waiting.extend(map(node_of, self.nodes[name].input))
        return [by_node[name] for name in order if by_node.get(name) in found]

    def between(self, given: Mapping[str, str], tensors: Iterable[str]) -> Any:
        """A GraphDef that computes `tensors` from those given, which become placeholders of any shape.

        Args:
            given: the dtypes of tensors by name.
            tensors: by name.
        """
        needed = needed_nodes(self.nodes, tensors, given)
        part = tf.compat.v1.GraphDef(versions=self._whole.versions, library=self._whole.library)
        part.node.extend(node for node in self._whole.node if node.name in needed)
        with tf.Graph().as_default() as graph:
            for name, dtype in given.items():
                tf.compat.v1.placeholder(dtype, name=node_of(name))
            part.node.extend(graph.as_graph_def().node)
        return part


def in_order(nodes: Mapping[str, Any], *targets: str) -> Iterator[str]:
    """The names of the nodes that some nodes need and their own, each after those it reads."""
    begun: set[str] = set()
    waiting = [(target, False) for target in targets]
    while waiting:
        name, is_read = waiting.pop()
        if is_read:
            yield name
        elif name not in begun:
            begun.add(name)
            waiting.append((name, True))
            waiting.extend((node_of(each), False) for each in nodes[name].input)


def needed_nodes(nodes: Mapping[str, Any], tensors: Iterable[str], given: Iterable[str] = ()) -> set[str]:
    """The names of the nodes, of all `nodes` by name, that computing `tensors` needs if those `given` are known."""
    known = set(map(node_of, given))
    found: set[str] = set()
    waiting = [node_of(name) for name in tensors]
    while waiting:
        name = waiting.pop()
        if name not in found and name not in known:
            found.add(name)
            waiting.extend(map(node_of, nodes[name].input))
    return found


def node_of(tensor: str) -> str:
    """The name of the node that a tensor, `node:0`, or a control input, `^node`, is of."""
    return tensor.removeprefix("^").split(":")[0]


def data_inputs(node: Any) -> list[str]:
    """The names of the nodes whose results a node reads."""
    return [node_of(each) for each in node.input if not each.startswith("^")]
