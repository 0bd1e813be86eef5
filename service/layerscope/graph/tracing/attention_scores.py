"""Attention scores: what an attention layer multiplies its values by, heads x query x key, behind its softmax.

Keras gives them only where a model asks for them (`return_attention_scores=True`), and computes them in another way then.
Here they are found in the graph of the model as it is: the result of the one softmax that the layer computes, where a product
of matrices reads it. What is fetched, edited or differentiated by is so what the model itself computes with.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

PRODUCTS = frozenset({"BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "Einsum", "MatMul"})
BETWEEN = frozenset({"Cast", "Identity", "SelectV2"})
"""What may stand between the softmax and the product: a cast, dropout that does nothing, and zeros for what is masked."""

LEAST_RANK = 3
"""Scores are a matrix, beside the batch axis: a softmax over channels is none."""


@contextmanager
def attention_scores_recorded(operation: Any) -> Iterator[list[Any]]:
    """Collect the scores that a layer computes in this context, if its class is named as one of attention, and has one softmax."""
    found: list[Any] = []
    if not any("Attention" in kind.__name__ for kind in type(operation).__mro__):
        yield found
        return
    graph = tf.compat.v1.get_default_graph()
    before = len(graph.get_operations())
    yield found
    made = graph.get_operations()[before:]
    softmaxes = [each.outputs[0] for each in made if each.type == "Softmax"]
    if len(softmaxes) == 1:
        found.extend(_multiplied(softmaxes[0]))


def _multiplied(softmax: Any) -> Sequence[Any]:
    """The tensor that a product reads of a softmax; empty if none does, or if it is no matrix."""
    waiting = [softmax]
    while waiting:
        tensor = waiting.pop(0)
        readers = tensor.consumers()
        if any(each.type in PRODUCTS for each in readers):
            is_matrix = tensor.shape.rank is not None and tensor.shape.rank >= LEAST_RANK
            return [tensor] if is_matrix else []
        waiting.extend(each.outputs[0] for each in readers if each.type in BETWEEN)
    return []
