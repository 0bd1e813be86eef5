"""Similarity of two representations of the same images, whatever their basis: unbiased linear CKA with its standard deviation.

CKA (centred kernel alignment): Kornblith et al. 2019, arXiv:1905.00414. Its usual estimator is biased: with few images and
many features, it is near 1 for representations that have nothing in common. Here is the unbiased one of Song et al. 2012, as
the inner product of U-centred Gram matrices (Székely and Rizzo 2014), and for many images that of Nguyen et al. 2021,
arXiv:2010.15327, which sums over minibatches before it divides.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FEWEST_IMAGES = 4
"""The fewest images that have an unbiased CKA."""

_WHOLE = 512
"""The most images of which one Gram matrix is made."""

_MINIBATCH = 256

_CONSTANT = 1e-12
"""Features whose deviation from their mean is this part of them, or less, are constant but for rounding in float64."""


@dataclass(frozen=True)
class Similarity:
    """A CKA.

    Attributes:
        value: -1 to 1; 1 for representations that are equal up to rotation, scale and shift; about 0 for independent ones.
        deviation: its standard deviation, by the jackknife over images (each left out once); None for fewer than 5.
    """

    value: float
    deviation: float | None


@dataclass(frozen=True)
class Grams:
    """The U-centred Gram matrices of one representation, one for each minibatch, divided by sqrt(n (n - 3)).

    The sum of the products of two of them is the unbiased HSIC, so that CKA is the cosine of the angle between two `Grams`.
    """

    batches: tuple[Floats, ...]

    @classmethod
    def of(cls, features: NDArray[Any], minibatch: int | None = None) -> "Grams | None":
        """The matrices of features, (images, numbers).

        Args:
            features: of each image. They are centred in float64 before they are multiplied: the mean of activations is often
                far larger than their deviation.
            minibatch: the images of one matrix; left out, all of up to 512, else 256.

        Returns:
            None where there is no CKA: for fewer than 4 images, features that are the same for all, that tell all images
            apart alike, or that are not finite.
        """
        images = len(features)
        if images < FEWEST_IMAGES or features.size == 0 or not np.isfinite(features).all():
            return None
        values = np.asarray(features, np.float64)
        largest = np.abs(values).max()
        if not largest:
            return None
        # CKA does not depend on the scale, and squares of squares of large values would overflow.
        values = values / largest
        centred = values - values.mean(axis=0)
        if np.linalg.norm(centred) <= _CONSTANT * np.linalg.norm(values):
            return None
        size = minibatch or (images if images <= _WHOLE else _MINIBATCH)
        parts = np.array_split(values, max(1, images // max(size, FEWEST_IMAGES)))
        grams = tuple(_u_centred(part) for part in parts)
        return cls(grams) if any(gram.any() for gram in grams) else None

    @property
    def vector(self) -> Floats:
        """All of them as one unit vector."""
        flat = np.concatenate([gram.reshape(-1) for gram in self.batches])
        result: Floats = flat / np.linalg.norm(flat)
        return result


def cka(reference: Grams | None, candidate: Grams | None) -> Similarity | None:
    """The unbiased linear CKA of two representations of the same images; None if one of them has none."""
    if reference is None or candidate is None:
        return None
    pairs = list(zip(reference.batches, candidate.batches, strict=True))
    products = [(k * l, k * k, l * l) for k, l in pairs]  # noqa: E741 - K and L, as in the papers
    totals = np.array([[each.sum() for each in batch] for batch in products]).sum(axis=0)
    without = [
        np.stack([_without_one(each) - each.sum() for each in batch], axis=1) + totals
        for batch in products
        if len(batch[0]) > FEWEST_IMAGES
    ]
    return Similarity(_ratio(*totals), _jackknife(np.concatenate(without)) if without else None)


def cka_matrix(references: Sequence[Grams | None], candidates: Sequence[Grams | None]) -> NDArray[np.float64]:
    """The CKA of all pairs, float64 of shape (references, candidates), as one matrix product; NaN where there is none."""
    matrix = np.full((len(references), len(candidates)), np.nan)
    rows = [number for number, each in enumerate(references) if each is not None]
    columns = [number for number, each in enumerate(candidates) if each is not None]
    if rows and columns:
        first = np.stack([each.vector for each in references if each is not None])
        second = np.stack([each.vector for each in candidates if each is not None])
        matrix[np.ix_(rows, columns)] = np.clip(first @ second.T, -1, 1)
    return matrix


def _u_centred(features: Floats) -> Floats:
    """The U-centred Gram matrix of one minibatch, with zeros on its diagonal, divided by sqrt(n (n - 3))."""
    images = len(features)
    centred = features - features.mean(axis=0)
    gram = centred @ centred.T
    size = np.linalg.norm(gram)
    np.fill_diagonal(gram, 0)
    rows = gram.sum(axis=1) / (images - 2)
    gram -= rows[:, None] + rows[None, :]
    gram += rows.sum() / (images - 1)
    np.fill_diagonal(gram, 0)
    if np.linalg.norm(gram) <= _CONSTANT * size:
        # What is left is rounding: all images are as far from each other.
        gram[:] = 0
    result: Floats = gram / math.sqrt(images * (images - 3))
    return result


def _ratio(product: float, first: float, second: float) -> float:
    norm = math.sqrt(max(0.0, first)) * math.sqrt(max(0.0, second))
    return float(max(-1.0, min(1.0, product / norm))) if norm > 0 else 0.0


def _without_one(products: Floats) -> Floats:
    """The HSIC without each of the images.

    The rows of U-centred matrices have the sum 0. What is left of Song's estimator when an image is taken out of them is the
    sum of all products less those of its row, and their sum once more for the new centre.
    """
    images = len(products)
    rows = products.sum(axis=1)
    left = rows.sum() - 2 * rows * (images - 2) / (images - 3)
    # The matrices are divided by sqrt(n (n - 3)), which is no longer the number of products.
    result: Floats = left * (images * (images - 3)) / ((images - 1) * (images - 4))
    return result


def _jackknife(without: Floats) -> float:
    """The standard deviation of a ratio, from its three sums without each image."""
    ratios = np.array([_ratio(*sums) for sums in without])
    count = len(ratios)
    return float(math.sqrt((count - 1) / count * np.square(ratios - ratios.mean()).sum()))
