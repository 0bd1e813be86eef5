"""Relative L2, cosine, SQNR and silent channels of values that are added image by image."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from layerscope.comparison import Distance, pooled
from layerscope.comparison.status import Tolerance, status_of, verdict_of


def distance(reference: np.ndarray, candidate: np.ndarray, channel_axis: int | None = None) -> Distance:
    """Of arrays with an axis of images."""
    found = Distance()
    for one, other in zip(reference, candidate, strict=True):
        found.add(one, other, channel_axis)
    return found


def gaussian(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_a_relative_change_has_the_relative_l2_of_its_size() -> None:
    values = gaussian(4, 70_001).astype(np.float64)
    found = distance(values, values * 1.001)
    assert found.relative_l2 == pytest.approx(0.001, rel=1e-9)
    assert found.by_image == pytest.approx([0.001] * 4, rel=1e-9)
    assert found.sqnr_db == pytest.approx(60, abs=1e-6)
    assert found.cosine == pytest.approx(1)
    assert found.largest == pytest.approx(np.abs(values).max() / 1000, rel=1e-9)
    assert not found.is_same


def test_values_in_float32_are_summed_in_float64() -> None:
    one, other = gaussian(2, 300, 300), gaussian(2, 300, 300, seed=1)
    a, b = one.astype(np.float64), other.astype(np.float64)
    found = distance(one, other)
    assert found.relative_l2 == pytest.approx(np.linalg.norm(b - a) / np.linalg.norm(a), rel=1e-13)
    angles = [np.vdot(x, y) / np.linalg.norm(x) / np.linalg.norm(y) for x, y in zip(a, b, strict=True)]
    assert found.cosine == pytest.approx(np.mean(angles), rel=1e-12)


@pytest.mark.parametrize("bits", [4, 6, 8])
def test_a_uniform_quantiser_has_the_sqnr_of_its_formula(bits: int) -> None:
    values = gaussian(1, 200_000).astype(np.float64)
    most = np.abs(values).max()
    step = 2 * most / 2**bits
    quantised = (np.floor(values / step) + 0.5) * step
    expected = 6.02 * bits + 4.77 - 20 * math.log10(most / np.sqrt(np.square(values).mean()))
    assert distance(values, quantised).sqnr_db == pytest.approx(expected, abs=0.5)


def test_equal_bits_are_the_same_with_nan_and_infinities_too() -> None:
    values = np.array([[1, np.nan, np.inf, -np.inf, 0]], np.float32)
    found = distance(values, values.copy())
    assert (found.is_same, found.is_misplaced, found.relative_l2, found.cosine) == (True, False, 0.0, 1.0)
    assert found.sqnr_db == math.inf


@pytest.mark.parametrize(
    ("one", "other", "misplaced"),
    [
        ([1, np.nan, 2], [1, np.nan, 3], False),
        ([1, np.nan, 2], [1, 5, 2], True),
        ([1, np.inf, 2], [1, -np.inf, 2], True),
        ([1, np.inf, 2], [1, np.nan, 2], True),
        ([1, np.inf, 2], [1, np.inf, 3], False),
    ],
)
def test_nan_in_other_places_is_told_and_spoils_no_figure(
    one: list[float], other: list[float], misplaced: bool
) -> None:
    found = distance(np.array([one], np.float32), np.array([other], np.float32))
    assert found.is_misplaced == misplaced
    assert not found.is_same
    for figure in (found.relative_l2, found.cosine, found.largest):
        assert math.isfinite(figure)


def test_zeros_have_figures() -> None:
    zeros, ones = np.zeros((1, 3), np.float32), np.ones((1, 3), np.float32)
    assert (distance(zeros, -zeros).relative_l2, distance(zeros, -zeros).cosine) == (0.0, 1.0)
    assert (distance(zeros, ones).relative_l2, distance(zeros, ones).cosine) == (math.inf, 0.0)
    assert distance(zeros, ones).sqnr_db == -math.inf


def test_values_without_squares_in_float64_are_far_apart() -> None:
    found = distance(np.array([[1e200, 1.0]]), np.array([[2e200, 1.0]]))
    assert (found.relative_l2, found.is_misplaced, found.cosine) == (math.inf, False, 0.0)
    assert distance(np.array([[1e200]]), np.array([[1e200]])).relative_l2 == 0


def test_a_cosine_of_norms_that_differ_much_is_right() -> None:
    one, other = gaussian(2, 500, 500).astype(np.float64), gaussian(2, 500, 500, seed=1) * 1e-4
    angles = [np.vdot(x, y) / np.linalg.norm(x) / np.linalg.norm(y) for x, y in zip(one, other, strict=True)]
    assert distance(one, other).cosine == pytest.approx(np.mean(angles), abs=1e-9)


def test_silent_channels_are_zero_in_every_image() -> None:
    one, other = np.zeros((3, 4, 4, 5)), np.zeros((3, 4, 4, 5))
    one[0, 1, 1, 2] = one[2, 0, 0, 3] = other[1, 2, 2, 4] = 1
    assert distance(one, other, channel_axis=2).silent == (3, 4)
    first = np.moveaxis(one, -1, 1)
    assert distance(first, first, channel_axis=0).silent == (3, 3)
    assert distance(one, other).silent == (0, 0)


def test_other_shapes_have_no_distance() -> None:
    with pytest.raises(ValueError, match="no distance"):
        Distance().add(np.ones(3), np.ones(4))


@settings(max_examples=150, deadline=None)
@given(arrays(np.float32, (2, 2, 3), elements=st.floats(width=32, allow_nan=True, allow_infinity=True)))
def test_no_values_give_nan(values: np.ndarray) -> None:
    found = distance(values[:1], values[1:], channel_axis=1)
    assert not math.isnan(found.relative_l2)
    assert not math.isnan(found.sqnr_db)
    assert -1 <= found.cosine <= 1


@pytest.mark.parametrize(
    ("shape", "axis", "axes"), [((30, 40, 7), 2, (0, 1)), ((7, 30, 40), 0, (1, 2)), ((9,), 0, ())]
)
def test_pooling_is_the_mean_over_places(shape: tuple[int, ...], axis: int, axes: tuple[int, ...]) -> None:
    values = gaussian(*shape)
    assert pooled(values, axis) == pytest.approx(values.astype(np.float64).mean(axis=axes), rel=1e-12)


def test_statuses_and_the_verdict() -> None:
    def status(relative_l2: float, **more: bool) -> str:
        return status_of(relative_l2, 1e-6, 0.01, is_same=more.get("same", False))

    assert status(0.0, same=True) == "same"
    assert [status(each) for each in (0.0, 9e-6, 2e-5, 0.01, 0.02, math.inf)] == [
        *("rounding", "rounding", "within", "within", "drifted", "drifted")
    ]
    assert verdict_of(["same", "within", "rounding"]) == "within"
    assert verdict_of([]) == "same"
    assert Tolerance(0.1, outputs=0.01).of(is_output=True) == 0.01
    assert Tolerance(0.1).of(is_output=True) == 0.1
