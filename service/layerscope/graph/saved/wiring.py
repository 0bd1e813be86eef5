"""The data flow of a flat graph, in which tensors can be copied."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import tensorflow as tf

from layerscope.graph.analysis.subgraph import node_of
from layerscope.graph.taps.tap import Tensor


class Reader(NamedTuple):
    """What reads a tensor: a node by name, at a place among its inputs; or the model's output of that number."""

    node: str | None
    place: int


class Wiring:
    """Which node reads what.

    Args:
        nodes: each after those it reads. Making copies changes them.
        outputs: the tensors that the model gives.
        described: every tensor that can be delivered.
    """

    def __init__(self, nodes: Sequence[Any], outputs: Sequence[str], described: Mapping[str, Tensor]) -> None:
        self.nodes = {node.name: node for node in nodes}
        self.outputs = list(outputs)
        self.described = dict(described)
        self._readers: dict[str, list[Reader]] = defaultdict(list)
        for node in nodes:
            for place, tensor in enumerate(node.input):
                self._readers[tensor].append(Reader(node.name, place))
        for number, tensor in enumerate(outputs):
            self._readers[tensor].append(Reader(None, number))
        self._results: dict[str, list[str]] = defaultdict(list)
        for tensor in self._readers:
            self._results[node_of(tensor)].append(tensor)

    def results(self, node: str) -> list[str]:
        """The tensors that a node makes, of those that anything reads."""
        return sorted(self._results[node])

    def readers(self, tensor: str, *, inside: Collection[str]) -> tuple[list[Reader], list[Reader]]:
        """What reads a tensor: those that are in the nodes `inside`, and the others."""
        within = [reader for reader in self._readers[tensor] if reader.node in inside]
        return within, [reader for reader in self._readers[tensor] if reader not in within]

    def own(self, tensor: str, readers: Sequence[Reader]) -> str:
        """A tensor that only `readers` read: this one if nothing else does, else a copy."""
        others = [reader for reader in self._readers[tensor] if reader not in readers]
        if not others:
            return tensor
        node = tf.compat.v1.NodeDef(name=f"layerscope/copy_{len(self.nodes)}", op="Identity", input=[tensor])
        node.attr["T"].type = tf.as_dtype(self.described[tensor].dtype).as_datatype_enum
        copy = f"{node.name}:0"
        self.nodes[node.name] = node
        self.described[copy] = replace(self.described[tensor], name=copy)
        self._readers[tensor] = [*others, Reader(node.name, 0)]
        self._readers[copy] = list(readers)
        for reader in readers:
            inputs = self.outputs if reader.node is None else self.nodes[reader.node].input
            inputs[reader.place] = copy
        return copy
