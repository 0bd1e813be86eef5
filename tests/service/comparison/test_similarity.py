"""CKA and RSA have the values of their papers, and are never NaN."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from layerscope.comparison import Grams, cka, cka_matrix, dissimilarities, rank_correlation


def gaussian(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def similarity(first: np.ndarray, second: np.ndarray, minibatch: int | None = None):
    return cka(Grams.of(first, minibatch), Grams.of(second, minibatch))


def hsic_of_song(first: np.ndarray, second: np.ndarray) -> float:
    """The unbiased estimator as Song et al. 2012 write it (equation 5)."""
    n = len(first)
    k, l = ((x - x.mean(axis=0)) @ (x - x.mean(axis=0)).T for x in (first, second))  # noqa: E741
    np.fill_diagonal(k, 0)
    np.fill_diagonal(l, 0)
    one = np.ones(n)
    return (
        np.trace(k @ l)
        + (one @ k @ one) * (one @ l @ one) / ((n - 1) * (n - 2))
        - 2 / (n - 2) * (one @ k @ l @ one)
    ) / (n * (n - 3))


def ratio_of_song(first: np.ndarray, second: np.ndarray) -> float:
    norm = hsic_of_song(first, first) * hsic_of_song(second, second)
    return hsic_of_song(first, second) / np.sqrt(norm)


def test_rotation_scale_and_shift_change_nothing() -> None:
    features = gaussian(20, 12)
    rotation, _ = np.linalg.qr(gaussian(12, 12, seed=1))
    found = similarity(features, -3.5 * features @ rotation + gaussian(12, seed=2) * 100)
    assert found.value == pytest.approx(1, abs=1e-10)
    assert found.deviation == pytest.approx(0, abs=1e-6)
    assert similarity(features, features).value == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("images", [4, 9, 30])
def test_it_is_the_estimator_of_song(images: int) -> None:
    first = gaussian(images, 7)
    second = first[:, :3] + gaussian(images, 3, seed=1)
    assert similarity(first, second).value == pytest.approx(
        np.clip(ratio_of_song(first, second), -1, 1), abs=1e-12
    )


def test_the_standard_deviation_is_that_of_leaving_each_image_out() -> None:
    first = gaussian(12, 7)
    second = first[:, :3] + gaussian(12, 3, seed=1)
    rows = [np.delete(np.arange(12), left) for left in range(12)]
    without = np.array([ratio_of_song(first[kept], second[kept]) for kept in rows])
    expected = np.sqrt(11 / 12 * np.square(without - without.mean()).sum())
    assert similarity(first, second).deviation == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("images", "runs"), [(8, 60), (64, 20)])
def test_independent_features_have_similarity_zero(images: int, runs: int) -> None:
    """The biased estimator says 0.985 for 8 images and 0.886 for 64."""
    pairs = [(gaussian(images, 500, seed=run), gaussian(images, 500, seed=1000 + run)) for run in range(runs)]
    found = [similarity(*pair) for pair in pairs]
    values = np.array([each.value for each in found])
    spread = values.std(ddof=1)
    assert abs(values.mean()) < 3 * spread / np.sqrt(runs)
    assert 0.3 * spread < np.mean([each.deviation for each in found]) < 3 * spread


def test_a_mean_far_larger_than_the_deviation_costs_no_digits() -> None:
    """An uncentred float32 Gram gave 0.784 in place of 0.993."""
    first = gaussian(32, 64)
    second = first + 0.1 * gaussian(32, 64, seed=1)
    shifted = similarity((first + 300).astype(np.float32), (second + 300).astype(np.float32))
    assert shifted.value == pytest.approx(similarity(first, second).value, abs=1e-4)


def test_one_minibatch_is_the_whole_and_several_are_summed_before_the_division() -> None:
    first = gaussian(24, 6)
    second = first + gaussian(24, 6, seed=1)
    assert similarity(first, second, minibatch=24) == similarity(first, second)
    halves = [slice(0, 12), slice(12, 24)]
    sums = [
        sum(hsic_of_song(a[half], b[half]) for half in halves)
        for a, b in ((first, second), (first, first), (second, second))
    ]
    found = similarity(first, second, minibatch=12)
    assert found.value == pytest.approx(sums[0] / np.sqrt(sums[1] * sums[2]), abs=1e-12)
    assert found.deviation > 0


@pytest.mark.parametrize("correlation", [0.0, 0.5, -0.8])
def test_of_two_features_it_is_their_squared_correlation(correlation: float) -> None:
    """Of two balanced binary features, up to what is expected of so many images."""
    alike = round(1000 * (1 + correlation))
    first = np.repeat([1.0, -1.0], 1000)
    second = first * np.tile(np.where(np.arange(1000) < alike / 2, 1, -1), 2)
    assert np.corrcoef(first, second)[0, 1] == pytest.approx(correlation)
    found = similarity(first[:, None], second[:, None], minibatch=2000)
    assert found.value == pytest.approx(correlation**2, abs=2 / len(first))


def test_the_order_of_the_images_does_not_matter() -> None:
    first = gaussian(16, 5)
    second = first**2
    order = np.random.default_rng(0).permutation(16)
    assert similarity(first[order], second[order]).value == pytest.approx(
        similarity(first, second).value, abs=1e-12
    )


def test_the_matrix_has_the_value_of_each_pair_and_nan_where_there_is_none() -> None:
    layers = [gaussian(10, 4), np.ones((10, 3)), gaussian(10, 9, seed=1) ** 2]
    grams = [Grams.of(each) for each in layers]
    matrix = cka_matrix(grams, grams[::-1])
    assert matrix[0, 0] == pytest.approx(cka(grams[0], grams[2]).value, abs=1e-12)
    assert np.isnan(matrix[1]).all()
    assert np.isnan(matrix[:, 1]).all()


@pytest.mark.parametrize(
    "features",
    [
        gaussian(3, 5),
        np.zeros((8, 5)),
        np.full((8, 5), 0.1, np.float32),
        np.eye(8),
        np.where(np.eye(8, 5) > 0, np.nan, 1),
        np.where(np.eye(8, 5) > 0, np.inf, 1),
        np.zeros((8, 0)),
    ],
)
def test_what_has_no_similarity_has_none(features: np.ndarray) -> None:
    assert similarity(features, gaussian(len(features), 2)) is None


FEATURES = arrays(
    np.float32,
    st.tuples(st.integers(1, 9), st.integers(1, 4)),
    elements=st.floats(width=32, allow_nan=True, allow_infinity=True),
)


@settings(max_examples=150, deadline=None)
@given(FEATURES)
def test_no_features_give_nan_or_a_value_out_of_range(features: np.ndarray) -> None:
    other = gaussian(len(features), 3)
    found = similarity(features, other)
    if found is not None:
        assert -1 <= found.value <= 1
        assert found.deviation is None or np.isfinite(found.deviation)
    rank = rank_correlation(dissimilarities(features), dissimilarities(other))
    assert rank is None or -1 <= rank <= 1


def test_rsa_compares_the_order_of_dissimilarities() -> None:
    features = gaussian(10, 6)
    own = dissimilarities(features)
    expected = 1 - np.corrcoef(features)[np.triu_indices(10, 1)]
    assert own == pytest.approx(expected, abs=1e-12)
    assert rank_correlation(own, own) == pytest.approx(1)
    assert rank_correlation(own, np.exp(own)) == pytest.approx(1)
    assert rank_correlation(own, -own) == pytest.approx(-1)
    assert rank_correlation(own, np.ones_like(own)) is None
    # Ranks 1, 2.5, 2.5, 4 and 4, 1, 2.5, 2.5.
    ties = rank_correlation(np.array([1.0, 2, 2, 3]), np.array([9.0, 1, 5, 5]))
    assert ties == pytest.approx(np.corrcoef([1, 2.5, 2.5, 4], [4, 1, 2.5, 2.5])[0, 1])


@pytest.mark.parametrize("features", [gaussian(2, 5), np.ones((5, 4)), gaussian(5, 1)])
def test_what_has_no_dissimilarities_has_none(features: np.ndarray) -> None:
    assert dissimilarities(features) is None
