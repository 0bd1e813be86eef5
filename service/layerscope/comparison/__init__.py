"""Comparison: how far the values of two networks, or of two images, are apart, and where that begins.

Arrays in, numbers out: nothing here runs a model. `distance` compares values place by place, `similarity` and `rsa` compare
what layers tell apart whatever their basis, `matching` pairs the layers of two networks, and `origins` finds where a change
begins.
"""

from layerscope.comparison.distance import Distance, pooled
from layerscope.comparison.matching import Matching, Rule, align, by_address, by_rules
from layerscope.comparison.origins import origins
from layerscope.comparison.rsa import dissimilarities, rank_correlation
from layerscope.comparison.similarity import FEWEST_IMAGES, Grams, Similarity, cka, cka_matrix
from layerscope.comparison.status import ROUNDING, Status, Tolerance, verdict_of

__all__ = [
    "FEWEST_IMAGES",
    "ROUNDING",
    "Distance",
    "Grams",
    "Matching",
    "Rule",
    "Similarity",
    "Status",
    "Tolerance",
    "align",
    "by_address",
    "by_rules",
    "cka",
    "cka_matrix",
    "dissimilarities",
    "origins",
    "pooled",
    "rank_correlation",
    "verdict_of",
]
