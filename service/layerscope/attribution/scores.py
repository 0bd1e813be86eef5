"""Scores of classes and their derivatives, computed from the logits in float64.

Near certainty, 1 - p is lost in rounding if it is computed from p. It is computed from the logits of the other classes here,
so that a map stays right where the model's own output is 1 to the last bit.
"""

import numpy as np

from layerscope.attribution.method import Array
from layerscope.graph.analysis.logits import FlatActivation


def squashed(activation: FlatActivation, logits: Array, *, log: bool) -> Array:
    """The probability of each class, or its logarithm, in the shape of the logits; a softmax is over their last axis."""
    logs = _log_probabilities(activation, logits)
    return logs if log else np.exp(logs)


def derivative(activation: FlatActivation, logits: Array, chosen: Array, *, log: bool) -> Array:
    """The derivative of a sum of probabilities, or of their logarithms, by each logit.

    Args:
        activation: the function that makes probabilities of the logits.
        logits: the logits, of any shape.
        chosen: how much each of them counts in the sum, in the same shape.
        log: whether logarithms are summed.
    """
    logs = _log_probabilities(activation, logits)
    counts = chosen if log else chosen * np.exp(logs)
    own: Array = counts * -np.expm1(logs)
    if activation == "sigmoid":
        return own
    return np.asarray(own - np.exp(logs) * (counts.sum(axis=-1, keepdims=True) - counts))


def _log_probabilities(activation: FlatActivation, logits: Array) -> Array:
    values = np.asarray(logits, np.float64)
    if activation == "sigmoid":
        return np.asarray(-np.logaddexp(0, -values))
    below = values - values.max(axis=-1, keepdims=True)
    others = np.exp(below)
    np.put_along_axis(others, below.argmax(axis=-1)[..., np.newaxis], 0, axis=-1)
    return np.asarray(below - np.log1p(others.sum(axis=-1, keepdims=True)))
