import warnings
from collections.abc import Callable, Iterator

import hypothesis.extra.numpy as arrays
import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import Normalize

from layerscope.render import Picture, lookup_table

Draw = Callable[..., Picture]
Decode = Callable[[Picture], np.ndarray]

finite = st.floats(-(2.0**100), 2.0**100, width=32)
rows = arrays.arrays(np.float32, st.integers(2, 40), elements=finite)


@pytest.fixture(autouse=True)
def _no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", ["viridis", "magma"])
def test_one_map_is_drawn_as_matplotlib_draws_it(draw: Draw, rgb: Decode, seed: int, name: str) -> None:
    generator = np.random.default_rng(seed)
    values = (generator.normal(size=(97, 61)) * 10.0 ** generator.integers(-6, 6)).astype(np.float32)
    expected = mpl.colormaps[name](Normalize()(values), bytes=True)[:, :, :3]

    drawn = rgb(draw(values[np.newaxis], colormap=name))

    np.testing.assert_array_equal(drawn, expected)


@given(values=arrays.arrays(np.float32, (5, 7), elements=finite))
def test_any_finite_map_is_drawn_as_matplotlib_draws_it(draw: Draw, rgb: Decode, values: np.ndarray) -> None:
    expected = mpl.colormaps["viridis"](Normalize()(values), bytes=True)[:, :, :3]

    np.testing.assert_array_equal(rgb(draw(values[np.newaxis], colormap="viridis")), expected)


@given(values=rows)
@pytest.mark.parametrize(
    "options", [{}, {"colormap": "viridis"}, {"percentile": (10, 90)}, {"centered": "true"}]
)
def test_indices_never_fall_where_values_rise(
    draw: Draw, palette_indices: Decode, options: dict[str, object], values: np.ndarray
) -> None:
    ordered = np.sort(values).reshape(1, 1, -1)

    indices = palette_indices(draw(ordered, **options)).astype(int).ravel()

    assert (np.diff(indices) >= 0).all()


def test_levels_computed_by_hand(draw: Draw, palette_indices: Decode) -> None:
    # floor(x * 256) of x = 0, 1/4, 1/2, 3/4, 1, where 1 takes the last level
    drawn = draw([[[0, 1, 2, 3, 4]]])

    np.testing.assert_array_equal(palette_indices(drawn), [[0, 64, 128, 192, 255]])


def test_grays_computed_by_hand(draw: Draw, rgb: Decode) -> None:
    drawn = rgb(draw([[[-1, 0], [1, 3]]], colormap="gray"))

    np.testing.assert_array_equal(drawn[:, :, 0], [[0, 64], [128, 255]])
    assert (drawn == drawn[:, :, :1]).all()


def test_each_channel_has_its_own_range_by_default(draw: Draw, palette_indices: Decode) -> None:
    drawn = draw([[[0, 1]], [[10, 20]]], gap=0)

    np.testing.assert_array_equal(palette_indices(drawn), [[0, 255, 0, 255]])
    assert (drawn.value_min, drawn.value_max) == (0, 20)


def test_a_layer_has_one_range(draw: Draw, palette_indices: Decode) -> None:
    drawn = draw([[[0, 1]], [[2, 4]]], gap=0, normalize="layer")

    np.testing.assert_array_equal(palette_indices(drawn), [[0, 64, 128, 255]])
    assert (drawn.value_min, drawn.value_max) == (0, 4)


def test_without_normalization_values_are_taken_as_0_to_1(draw: Draw, palette_indices: Decode) -> None:
    drawn = draw([[[-7, 0, 0.5, 1, 7]]], normalize="none")

    np.testing.assert_array_equal(palette_indices(drawn), [[0, 0, 128, 255, 255]])
    assert (drawn.value_min, drawn.value_max, drawn.colormap) == (0, 1, "viridis")


def test_a_range_holds_for_every_tile_and_clips(draw: Draw, palette_indices: Decode) -> None:
    drawn = draw([[[-9, 0.1]], [[4, 1e30]]], gap=0, range=(0.1, 8))

    np.testing.assert_array_equal(palette_indices(drawn), [[0, 0, 126, 255]])
    assert (drawn.value_min, drawn.value_max) == (0.1, 8)
    assert drawn.notes == ("2 of 2 maps have values outside the range, drawn as its nearer end.",)


@pytest.mark.parametrize("normalize", ["channel", "layer"])
@pytest.mark.parametrize("with_nan", [False, True])
def test_percentiles_are_those_of_the_finite_values_of_each_scope(
    draw: Draw, normalize: str, with_nan: bool
) -> None:
    maps = np.random.default_rng(3).gamma(2, size=(3, 9, 11)).astype(np.float32)
    if with_nan:
        maps[0, :4] = np.nan
        maps[1, 2, 3] = np.inf
    finite_maps = np.where(np.isfinite(maps), maps, np.nan)
    axis = (1, 2) if normalize == "channel" else None
    low, high = np.nanpercentile(finite_maps, [5, 90], axis=axis)

    drawn = draw(maps, normalize=normalize, percentile=(5, 90))

    assert drawn.value_min == pytest.approx(np.min(low), rel=1e-6)
    assert drawn.value_max == pytest.approx(np.max(high), rel=1e-6)


def test_percentiles_0_and_100_are_the_extremes(draw: Draw) -> None:
    maps = np.random.default_rng(4).gamma(2, size=(2, 30, 30)).astype(np.float32)

    assert draw(maps, percentile=(0, 100)).data == draw(maps).data


def test_an_outlier_does_not_take_the_colours_where_percentiles_do(
    draw: Draw, palette_indices: Decode
) -> None:
    values = np.append(np.arange(100), 1e6).astype(np.float32).reshape(1, 1, -1)

    assert palette_indices(draw(values))[0, 99] == 0
    assert palette_indices(draw(values, percentile=(0, 99)))[0, 99] == 255


def test_values_of_both_signs_are_centred_on_zero_in_a_diverging_map(
    draw: Draw, palette_indices: Decode
) -> None:
    drawn = draw([[[-1, 0, 1, 2]]])

    np.testing.assert_array_equal(palette_indices(drawn), [[64, 128, 192, 255]])
    assert (drawn.value_min, drawn.value_max, drawn.colormap) == (-2, 2, "vik")


def test_zero_is_drawn_light_and_nearly_gray_when_centred(draw: Draw, rgb: Decode) -> None:
    zero = rgb(draw([[[-1, 0, 1]]]))[0, 1].astype(int)

    assert zero.min() > 200
    assert np.ptp(zero) < 20


@pytest.mark.parametrize(
    ("options", "colormap", "low", "high"),
    [
        ({}, "vik", -4, 4),
        ({"colormap": "viridis"}, "viridis", -1, 4),
        ({"colormap": "RdBu_r"}, "RdBu_r", -4, 4),
        ({"centered": "false"}, "viridis", -1, 4),
        ({"centered": "false", "colormap": "vik"}, "vik", -1, 4),
        ({"centered": "true", "colormap": "viridis"}, "viridis", -4, 4),
        ({"centered": "true", "normalize": "none"}, "vik", -1, 1),
        ({"normalize": "none"}, "viridis", 0, 1),
        ({"range": (-1, 3)}, "viridis", -1, 3),
        ({"range": (-3, 3)}, "vik", -3, 3),
        ({"range": (-3, 3), "centered": "false"}, "viridis", -3, 3),
        ({"percentile": (50, 100)}, "vik", -4, 4),
    ],
)
def test_when_the_range_is_centred(
    draw: Draw, options: dict[str, object], colormap: str, low: float, high: float
) -> None:
    drawn = draw([[[-1, 0, 4]]], **options)

    assert (drawn.colormap, drawn.value_min, drawn.value_max) == (colormap, low, high)


def test_values_of_one_sign_are_centred_only_on_demand(draw: Draw) -> None:
    assert draw([[[0, 4]]], colormap="vik").value_min == 0
    assert draw([[[-4, 0]]]).colormap == "viridis"
    assert draw([[[1, 4]]], centered="true").value_min == -4


@pytest.mark.parametrize("value", [0, 5, -5, 3e38])
def test_a_constant_map_is_flat_in_the_first_colour(draw: Draw, rgb: Decode, value: float) -> None:
    drawn = draw(np.full((1, 3, 4), value, dtype=np.float32))

    assert (rgb(drawn) == lookup_table("viridis", 256)[0]).all()
    assert (drawn.value_min, drawn.value_max) == (np.float32(value), np.float32(value))
    assert drawn.notes == ("1 of 1 maps hold one value only, drawn in one colour.",)


def test_zeros_take_the_centre_where_the_range_is_centred(draw: Draw, palette_indices: Decode) -> None:
    drawn = draw([[[0, 0]], [[-3, 1]]], gap=0)

    np.testing.assert_array_equal(palette_indices(drawn), [[128, 128, 0, 170]])


def test_zero_is_never_reported_as_negative(draw: Draw) -> None:
    drawn = draw([[[0, 0]]], centered="true")

    assert str(drawn.value_min) == str(drawn.value_max) == "0.0"


def test_a_closed_range_still_parts_what_lies_on_either_side(draw: Draw, palette_indices: Decode) -> None:
    values = [0.0] * 9 + [1e-3]

    drawn = draw([[values]], percentile=(1, 50))

    np.testing.assert_array_equal(palette_indices(drawn)[0], [0] * 9 + [255])


def test_nan_and_infinities_take_a_colour_of_their_own(draw: Draw, rgb: Decode) -> None:
    drawn = draw([[[0, np.nan, np.inf, -np.inf, 8]]])

    pixels = rgb(drawn)[0]
    assert (pixels[1:4] == [255, 0, 255]).all()
    np.testing.assert_array_equal(pixels[[0, 4]], lookup_table("viridis", 255)[[0, -1]])
    assert (drawn.nonfinite, drawn.value_min, drawn.value_max) == (3, 0, 8)
    assert drawn.notes == ("3 values are NaN or infinite, drawn in magenta.",)


def test_a_map_of_nothing_but_nan_is_drawn(draw: Draw, rgb: Decode) -> None:
    drawn = draw(np.full((1, 2, 2), np.nan, dtype=np.float32), colorbar=True)

    assert (rgb(drawn)[:2, :2] == [255, 0, 255]).all()
    assert np.isnan([drawn.value_min, drawn.value_max]).all()
    assert drawn.nonfinite == 4


@pytest.mark.parametrize(
    "options", [{}, {"normalize": "layer"}, {"percentile": (1, 99)}, {"centered": "true"}]
)
def test_an_empty_neighbour_changes_nothing(
    draw: Draw, palette_indices: Decode, options: dict[str, object]
) -> None:
    ramp = np.arange(12, dtype=np.float32).reshape(1, 3, 4)
    alone = palette_indices(draw(np.concatenate([ramp, ramp * np.nan]), gap=0, **options))[:, :4]
    beside = palette_indices(draw(np.concatenate([ramp * np.nan, ramp]), gap=0, **options))[:, 4:]

    np.testing.assert_array_equal(alone, beside)
    assert len(np.unique(alone)) > 8


@pytest.mark.parametrize("name", ["cool", "hsv", "spring", "gist_ncar", "hsl", "viridis", "vik", "gray"])
def test_the_colour_of_nan_is_not_in_the_map(draw: Draw, rgb: Decode, name: str) -> None:
    ramp = np.linspace(0, 1, 2000, dtype=np.float32)
    ramp[0] = np.nan

    pixels = rgb(draw(ramp.reshape(1, 1, -1), colormap=name))[0].astype(float)

    assert np.linalg.norm(pixels[1:] - pixels[0], axis=1).min() > 50


def test_the_whole_range_of_float32_does_not_overflow(draw: Draw, palette_indices: Decode) -> None:
    largest = np.finfo(np.float32).max
    values = np.array([[[-largest, 0, largest]]], dtype=np.float32)

    np.testing.assert_array_equal(palette_indices(draw(values)), [[0, 128, 255]])


@pytest.mark.parametrize("dtype", [np.float16, np.float64, ">f4"])
def test_other_floating_types_are_drawn_like_float32(draw: Draw, dtype: object) -> None:
    values = np.arange(12, dtype=np.float32).reshape(1, 3, 4)

    assert draw(values.astype(dtype)).data == draw(values).data


def test_float64_beyond_float32_is_finite(draw: Draw) -> None:
    drawn = draw(np.array([[[0, 1e300]]]))

    assert (drawn.nonfinite, drawn.value_max) == (0, 1e300)
