"""Distance of two arrays, place by place: relative L2, largest difference, cosine and SQNR, summed image by image.

Sums are in float64, over blocks that fit into a processor's cache, so that the arrays are never copied whole.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

_BLOCK = 1 << 15
"""Values that are converted to float64 at a time: 256 KiB, which stay in the second level cache."""


@dataclass
class _Sums:
    difference: float = 0.0
    reference: float = 0.0
    candidate: float = 0.0
    largest: float = 0.0

    def add(self, a: Array, b: Array) -> bool:
        """Add a block, in float64; False, and nothing is added, if the difference is not finite."""
        difference = b - a
        square = float(difference @ difference)
        if not math.isfinite(square):
            return False
        self.difference += square
        self.reference += float(a @ a)
        self.candidate += float(b @ b)
        self.largest = max(self.largest, float(difference.max()), -float(difference.min()))
        return True

    @property
    def cosine(self) -> float:
        """The cosine of the angle between both, by the law of cosines, which spares a sum of products."""
        if math.isinf(self.difference):
            return 0.0
        if self.reference == 0 or self.candidate == 0:
            return 1.0 if self.reference == self.candidate else 0.0
        product = (self.reference + self.candidate - self.difference) / 2
        cosine = product / (math.sqrt(self.reference) * math.sqrt(self.candidate))
        return max(-1.0, min(1.0, cosine))


class Distance:
    """How far the values of a layer in one network are from those in another, over the images added so far.

    Values that are NaN or infinite in the same way in both count as equal; `is_misplaced` tells whether others are there.

    Attributes:
        images: how many were added.
        is_same: whether all bits were equal.
        is_misplaced: whether values were NaN or infinite in other places, or in another way.
        largest: the largest absolute difference.
        by_image: the relative L2 of each image; infinite where only the reference is zero.
    """

    def __init__(self) -> None:
        self.images = 0
        self.is_same = True
        self.is_misplaced = False
        self.largest = 0.0
        self.by_image: list[float] = []
        self._difference = self._reference = self._cosines = 0.0
        self._silent: list[Array | None] = [None, None]

    @property
    def relative_l2(self) -> float:
        """The norm of the difference divided by that of the reference, over all images; infinite if only the latter is 0."""
        return _relative(self._difference, self._reference)

    @property
    def sqnr_db(self) -> float:
        """The signal to quantisation noise ratio in decibels: -20 log10 of `relative_l2`; infinite without a difference."""
        relative = self.relative_l2
        return -20 * math.log10(relative) if 0 < relative < math.inf else -math.inf if relative else math.inf

    @property
    def cosine(self) -> float:
        """The mean over images of the cosine of the angle between both, -1 to 1: 1 where both are zero, 0 where one is."""
        return self._cosines / self.images if self.images else 1.0

    @property
    def silent(self) -> tuple[int, int]:
        """How many channels were zero in all images, in the reference and in the candidate."""
        first, second = (0 if each is None else int(np.count_nonzero(each)) for each in self._silent)
        return first, second

    def add(self, reference: Array, candidate: Array, channel_axis: int | None = None) -> None:
        """Add the values of one image.

        Args:
            reference: of any shape, real numbers.
            candidate: of the same shape.
            channel_axis: the axis that counts channels, for `silent`.

        Raises:
            ValueError: the shapes differ.
        """
        if reference.shape != candidate.shape:
            raise ValueError(f"Values of shapes {reference.shape} and {candidate.shape} have no distance.")
        self.images += 1
        one, other = _flat(reference), _flat(candidate)
        if _same_bits(one, other):
            sums = _sums_of_same(one)
        else:
            self.is_same = False
            sums = self._sums(one, other)
        self._difference += sums.difference
        self._reference += sums.reference
        self._cosines += sums.cosine
        self.largest = max(self.largest, sums.largest)
        self.by_image.append(_relative(sums.difference, sums.reference))
        for number, values in enumerate((reference, candidate)):
            self._silent[number] = _still_silent(self._silent[number], values, channel_axis)

    def _sums(self, one: Array, other: Array) -> _Sums:
        sums = _Sums()
        with np.errstate(invalid="ignore", over="ignore"):
            for a, b in zip(_blocks(one), _blocks(other), strict=True):
                if not sums.add(a, b):
                    self.is_misplaced |= not np.array_equal(_kinds(a), _kinds(b))
                    finite = np.isfinite(a) & np.isfinite(b)
                    if not sums.add(np.where(finite, a, 0), np.where(finite, b, 0)):
                        sums.difference = math.inf  # float64 has no squares of such values
        return sums


def pooled(values: Array, channel_axis: int | None) -> Array:
    """The mean over all places of each channel of one image's values, float64 of shape (channels,)."""
    if channel_axis is None or values.ndim <= 1:
        return np.asarray(values, np.float64).reshape(-1)
    channels = values.shape[channel_axis]
    if channel_axis != values.ndim - 1:
        first = np.moveaxis(values, channel_axis, 0).reshape(channels, -1)
        return np.asarray(first.mean(axis=1, dtype=np.float64))
    places = values.reshape(-1, channels)
    step = max(1, _BLOCK // max(1, channels))
    total = np.zeros(channels)
    for start in range(0, len(places), step):
        block = places[start : start + step].astype(np.float64)
        # A product with ones: a sum over the first axis in numpy takes several times as long.
        total += np.ones(len(block)) @ block
    result: Array = total / max(1, len(places))
    return result


def _flat(values: Array) -> Array:
    return np.ascontiguousarray(values).reshape(-1)


def _same_bits(one: Array, other: Array) -> bool:
    """Whether all bits are equal; values that are not are mostly told by their first block."""
    if one.dtype != other.dtype:
        return False
    first, second = one.view(np.uint8), other.view(np.uint8)
    starts = range(0, len(first), _BLOCK)
    return all(np.array_equal(first[at : at + _BLOCK], second[at : at + _BLOCK]) for at in starts)


def _blocks(flat: Array) -> Iterator[Array]:
    for start in range(0, len(flat), _BLOCK):
        yield flat[start : start + _BLOCK].astype(np.float64)


def _sums_of_same(flat: Array) -> _Sums:
    total = 0.0
    for block in _blocks(flat):
        square = float(block @ block)
        if not math.isfinite(square):
            finite = block[np.isfinite(block)]
            square = float(finite @ finite)
        total += square
    return _Sums(reference=total, candidate=total)


def _kinds(values: Array) -> Array:
    """1 and -1 for the infinities, 2 for NaN, 0 for numbers."""
    return np.where(np.isnan(values), 2.0, np.where(np.isinf(values), np.sign(values), 0.0))


def _relative(difference: float, reference: float) -> float:
    if difference == 0:
        return 0.0
    return math.sqrt(difference / reference) if reference > 0 else math.inf


def _still_silent(silent: Array | None, values: Array, channel_axis: int | None) -> Array | None:
    """Which channels have been zero so far. Only those that were are looked at, which are few after the first image."""
    if channel_axis is None:
        return None
    last = np.moveaxis(values, channel_axis, -1).reshape(-1, values.shape[channel_axis])
    if silent is None:
        return np.asarray(~last.any(axis=0))
    if silent.any():
        silent[silent] = ~last[:, silent].any(axis=0)
    return silent
