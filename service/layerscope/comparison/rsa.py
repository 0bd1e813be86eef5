"""Representational similarity analysis: do two representations find the same pairs of images alike?

Kriegeskorte et al. 2008, doi:10.3389/neuro.06.004.2008: the dissimilarity of two images is 1 less the correlation of their
features; two representations are compared by the rank correlation of these dissimilarities.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_FEWEST_IMAGES = 3
_CONSTANT = 1e-12


def dissimilarities(features: NDArray[Any]) -> Floats | None:
    """1 less the Pearson correlation of the features of all pairs of images.

    Args:
        features: (images, numbers).

    Returns:
        float64 of shape (images (images - 1) / 2), each 0 to 2. None for fewer than 3 images, features that are not finite,
        and if the features of an image are all equal, so that it has no correlation with others.
    """
    images = len(features)
    if images < _FEWEST_IMAGES or features.size == 0 or not np.isfinite(features).all():
        return None
    values = np.asarray(features, np.float64)
    values = values / (np.abs(values).max() or 1.0)
    centred = values - values.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(centred, axis=1, keepdims=True)
    if (norms <= _CONSTANT * np.linalg.norm(values, axis=1, keepdims=True)).any():
        return None
    units = centred / norms
    result: Floats = 1 - np.clip(units @ units.T, -1, 1)[np.triu_indices(images, 1)]
    return result


def rank_correlation(first: Floats | None, second: Floats | None) -> float | None:
    """Spearman's correlation of two lists, -1 to 1, equal values with their mean rank; None if one has no order."""
    if first is None or second is None:
        return None
    ranks = [_ranks(each) for each in (first, second)]
    norms = [float(np.linalg.norm(each)) for each in ranks]
    if 0 in norms:
        return None
    return float(np.clip(ranks[0] @ ranks[1] / (norms[0] * norms[1]), -1, 1))


def _ranks(values: Floats) -> Floats:
    """The ranks less their mean."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: Floats = (last - (counts - 1) / 2)[places] - (len(values) + 1) / 2
    return ranks
