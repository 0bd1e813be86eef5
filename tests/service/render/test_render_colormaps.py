import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest

from layerscope.errors import OptionInvalid
from layerscope.render import is_diverging, lookup_table, names


@pytest.mark.parametrize(
    "name", ["viridis", "magma", "inferno", "plasma", "cividis", "turbo", "gray", "viridis_r"]
)
def test_256_levels_are_the_bytes_matplotlib_draws(name: str) -> None:
    expected = mpl.colormaps[name](np.linspace(0, 1, 256), bytes=True)[:, :3]

    np.testing.assert_array_equal(lookup_table(name, 256), expected)


@pytest.mark.parametrize("levels", [2, 3, 10, 253, 254, 255])
def test_fewer_levels_keep_the_ends_of_the_map(levels: int) -> None:
    colours = lookup_table("viridis", levels)

    assert colours.shape == (levels, 3)
    np.testing.assert_array_equal(colours[[0, -1]], lookup_table("viridis", 256)[[0, -1]])


def test_a_black_to_white_map_is_computed_by_hand() -> None:
    np.testing.assert_array_equal(lookup_table("gray", 3), [[0, 0, 0], [127, 127, 127], [255, 255, 255]])


def test_a_map_of_separate_colours_is_not_blended() -> None:
    own = {tuple(colour) for colour in mpl.colormaps["tab10"](range(10), bytes=True)[:, :3].tolist()}

    colours = lookup_table("tab10", 253).tolist()

    assert {tuple(colour) for colour in colours} == own


@pytest.mark.parametrize("levels", [253, 254, 255, 256])
def test_every_listed_name_has_a_palette(levels: int) -> None:
    for name in names():
        assert lookup_table(name, levels).shape == (levels, 3)


def test_palettes_are_shared_and_read_only() -> None:
    assert lookup_table("viridis", 200) is lookup_table("viridis", 200)
    with pytest.raises(ValueError, match="read-only"):
        lookup_table("viridis", 200)[0] = 0


def test_an_end_of_r_reverses() -> None:
    np.testing.assert_array_equal(lookup_table("RdBu_r", 255), lookup_table("RdBu", 255)[::-1])


def test_a_name_may_carry_its_collection() -> None:
    np.testing.assert_array_equal(lookup_table("crameri:vik", 256), lookup_table("vik", 256))


def test_a_name_in_several_collections_is_matplotlibs() -> None:
    expected = mpl.colormaps["coolwarm"](np.linspace(0, 1, 256), bytes=True)[:, :3]

    np.testing.assert_array_equal(lookup_table("coolwarm", 256), expected)


def test_a_name_in_several_collections_is_not_worth_a_warning() -> None:
    program = "from layerscope.render import lookup_table; lookup_table('coolwarm', 256)"  # each process warns only once

    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert finished.stderr == ""


def test_names_are_sorted_unique_and_hold_the_usual_ones() -> None:
    assert {"viridis", "magma", "gray", "turbo", "vik", "RdBu", "coolwarm"} <= set(names())
    assert list(names()) == sorted(set(names()), key=lambda name: (name.lower(), name))


@pytest.mark.parametrize(
    ("name", "diverging"),
    [
        ("vik", True),
        ("RdBu_r", True),
        ("crameri:berlin", True),
        ("viridis", False),
        ("tab10", False),
        ("hsv", False),
    ],
)
def test_diverging_maps_are_known(name: str, diverging: bool) -> None:
    assert is_diverging(name) is diverging


@pytest.mark.parametrize(
    "name",
    [
        "__class__",
        "../viridis",
        "/etc/passwd",
        "viridis\0",
        "viridis ",
        "",
        "_r",
        "viridis_r_r",
        "cmap.data:x",
        "é" * 500,
    ],
)
def test_anything_else_is_just_unknown(name: str) -> None:
    with pytest.raises(OptionInvalid) as caught:
        lookup_table(name, 256)
    assert caught.value.details["option"] == "colormap"
    assert len(caught.value.message) < 400


def test_an_unknown_name_is_answered_with_near_ones() -> None:
    with pytest.raises(OptionInvalid, match="did you mean viridis") as caught:
        lookup_table("Viridsi", 256)

    near = caught.value.details["near"]
    assert isinstance(near, list)
    assert near[0] == "viridis"
    assert len(near) <= 3


def test_a_name_near_to_nothing_is_answered_without_a_guess() -> None:
    with pytest.raises(OptionInvalid, match="/v1/colormaps") as caught:
        is_diverging("00000000000")

    assert caught.value.details["near"] == []
