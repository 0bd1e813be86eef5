"""The two layers of a pair while a comparison runs: sums and features of the images so far, and no values."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from layerscope.comparison import (
    Distance,
    Grams,
    cka,
    dissimilarities,
    pooled,
    rank_correlation,
)
from layerscope.comparison.status import status_of
from layerscope.execution.comparison_query import ComparisonQuery, LayerComparison
from layerscope.graph.taps.tap import Tap

Array = np.ndarray[Any, np.dtype[Any]]


class Features:
    """What CKA and RSA need of one layer: for each image the mean of each channel, or all values.

    Args:
        tap: the layer.
        is_flat: whether all values are kept.
    """

    def __init__(self, tap: Tap, *, is_flat: bool) -> None:
        self._axis = tap.channel_axis
        self._is_flat = is_flat
        self._rows: list[Array] = []

    def add(self, values: Array) -> None:
        """Add the values of one image."""
        # Copied: a view would keep the values of all layers in memory.
        self._rows.append(values.reshape(-1).copy() if self._is_flat else pooled(values, self._axis))

    @property
    def matrix(self) -> Array | None:
        """The features, (images, numbers); None if they have different sizes."""
        return np.stack(self._rows) if len({len(row) for row in self._rows}) == 1 else None

    @property
    def grams(self) -> Grams | None:
        """Their U-centred Gram matrices; None if they have none."""
        matrix = self.matrix
        return None if matrix is None else Grams.of(matrix)


class LayerPair:
    """Two layers that are compared, over the images so far.

    Args:
        reference: the reference's tap.
        candidate: the candidate's.
        query: says which measures to take.
        is_output: whether it is an output of the reference, which has a tolerance of its own.
    """

    def __init__(self, reference: Tap, candidate: Tap, query: ComparisonQuery, *, is_output: bool) -> None:
        self.reference, self.candidate = reference, candidate
        self._query = query
        self._tolerance = query.tolerance.of(is_output=is_output)
        self._distance = Distance()
        self._floor = Distance()
        self._reason: str | None = None
        wanted = {"cka", "rsa"} & set(query.measures)
        is_flat = query.features == "flat"
        self._features = [Features(tap, is_flat=is_flat) for tap in (reference, candidate)] if wanted else []

    @property
    def by_image(self) -> Sequence[float]:
        """The relative L2 of each image, empty if values cannot be compared place by place."""
        return [] if self._reason else self._distance.by_image

    def add(self, reference: Array, candidate: Array) -> None:
        """Add the values of one image, without batch axis."""
        if reference.shape == candidate.shape:
            self._distance.add(reference, candidate, self.reference.channel_axis)
        else:
            self._reason = f"{_sizes(reference)} became {_sizes(candidate)}"
        for features, values in zip(self._features, (reference, candidate), strict=False):
            features.add(values)

    def add_noise(self, alone: Array, together: Array) -> None:
        """Add the reference's values of one image, computed alone and in a batch."""
        if alone.shape == together.shape:
            self._floor.add(alone, together)

    def result(self) -> LayerComparison:
        """The figures."""
        distance, measures, floor = self._distance, set(self._query.measures), self.noise_floor
        reason = self._reason
        if reason is None and distance.is_misplaced:
            reason = "NaN or infinite values in other places"
        relative = distance.relative_l2
        figures: dict[str, Any] = {}
        if self._reason is None:
            figures = {
                "relative_l2": relative if "relative_l2" in measures else None,
                "largest": distance.largest if "max" in measures else None,
                "cosine": distance.cosine if "cosine" in measures else None,
                "sqnr_db": distance.sqnr_db if "sqnr_db" in measures else None,
                "silent": distance.silent,
            }
        return LayerComparison(
            reference=self.reference.address,
            candidate=self.candidate.address,
            **figures,
            **similarities(self._features, measures),
            noise_floor=floor,
            status=status_of(
                math.inf if reason else relative,
                floor,
                self._tolerance,
                is_same=reason is None and distance.is_same,
            ),
            reason=reason,
        )

    @property
    def noise_floor(self) -> float:
        """The relative L2 of the reference against itself in a batch of another size."""
        floor = self._floor.relative_l2
        return floor if math.isfinite(floor) else 0.0


def similarities(features: Sequence[Features], measures: set[Any]) -> dict[str, Any]:
    """The CKA and the RSA of two layers, as far as they are asked for."""
    found: dict[str, Any] = {}
    if "cka" in measures and features:
        found["cka"] = cka(*(each.grams for each in features))
    if "rsa" in measures and features:
        matrices = [each.matrix for each in features]
        first, second = (None if each is None else dissimilarities(each) for each in matrices)
        found["rsa"] = rank_correlation(first, second)
    return found


def _sizes(values: Array) -> str:
    return "x".join(map(str, values.shape)) or "one number"
