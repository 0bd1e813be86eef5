"""Attention scores in a saved graph, which does not tell the classes of its layers: found by what is computed with them.

Attention multiplies queries by keys, takes one softmax of that, and multiplies values by it. All three depend on the inputs, so
that no layer with weights, such as one that assigns to clusters, is taken for it.
"""

from collections.abc import Collection, Iterator
from typing import Any

from layerscope.graph.analysis.subgraph import node_of
from layerscope.graph.saved.scopes import ScopeCall
from layerscope.graph.saved.wiring import Reader, Wiring
from layerscope.graph.tracing.attention_scores import BETWEEN, LEAST_RANK, PRODUCTS

_BEFORE = BETWEEN | {"Add", "AddV2", "BiasAdd", "Mul", "RealDiv", "Reshape", "Sub", "Tanh", "Transpose"}
"""What may stand between the product of queries and keys and the softmax: a scale, a mask, the order of axes."""


def scores_of(
    call: ScopeCall, wiring: Wiring, fed: Collection[str], *, is_declared: bool
) -> tuple[str, list[Reader]] | None:
    """The tensor of the scores of a call, and the product that reads it; None if it is no attention, or if a layer inside is.

    Args:
        call: of a layer.
        wiring: the graph.
        fed: the names of its nodes that depend on the model's inputs.
        is_declared: whether the layer is known to be one of attention, so that its queries need not be multiplied by keys.
    """
    softmaxes = [node.name for node in call.nodes if node.op == "Softmax" and node.name in fed]
    if len(softmaxes) != 1:
        return None
    multiplied = _multiplied(f"{softmaxes[0]}:0", call.names, wiring)
    if multiplied is None:
        return None
    tensor, reader = multiplied
    product, described = wiring.nodes[reader.node or ""], wiring.described.get(tensor)
    if described is None or len(described.shape) + described.batched < LEAST_RANK:
        return None
    if any({softmaxes[0], product.name} <= child.names for child in call.children):
        return None
    is_attention = is_declared or _compares(wiring.nodes[softmaxes[0]], call.names, wiring, fed)
    return (tensor, [reader]) if is_attention and _is_of_two(product, fed) else None


def _multiplied(tensor: str, inside: Collection[str], wiring: Wiring) -> tuple[str, Reader] | None:
    """The tensor that a product reads of a softmax, and how it reads it."""
    waiting = [tensor]
    while waiting:
        tensor = waiting.pop(0)
        readers, _ = wiring.readers(tensor, inside=inside)
        for reader in readers:
            node = wiring.nodes[reader.node or ""]
            if node.op in PRODUCTS:
                return tensor, reader
            if node.op in BETWEEN:
                waiting.append(f"{node.name}:0")
    return None


def _compares(softmax: Any, inside: Collection[str], wiring: Wiring, fed: Collection[str]) -> bool:
    """Whether a softmax is of a product of two tensors that depend on the inputs."""
    return any(_is_of_two(node, fed) for node in _before(softmax, inside, wiring) if node.op in PRODUCTS)


def _before(node: Any, inside: Collection[str], wiring: Wiring) -> Iterator[Any]:
    waiting, seen = [node], set[str]()
    while waiting:
        for tensor in waiting.pop().input:
            name = node_of(tensor)
            if name in inside and name not in seen:
                seen.add(name)
                yield wiring.nodes[name]
                if wiring.nodes[name].op in _BEFORE:
                    waiting.append(wiring.nodes[name])


def _is_of_two(product: Any, fed: Collection[str]) -> bool:
    return all(node_of(tensor) in fed for tensor in list(product.input)[:2])
