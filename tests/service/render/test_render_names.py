"""Names of rows and columns, such as tokens: where there is room for letters, outside of the maps, whatever they are."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from layerscope.limits import Limits
from layerscope.render import (
    LONGEST_NAME,
    Picture,
    PictureOptions,
    Sides,
    TileGroup,
    render_groups,
    sprite_atlas,
)
from layerscope.render.font import shortened, text_width

MAPS = np.arange(18, dtype=np.float32).reshape(2, 3, 3)


def named(*names: str) -> list[TileGroup]:
    return [TileGroup(maps=MAPS, sides=[Sides(rows=names, columns=names)] * 2)]


def drawn(groups: list[TileGroup], **options: object) -> Picture:
    return render_groups(groups, PictureOptions(labels=True, **options), limits=Limits())  # type: ignore[arg-type]


def pixels(picture: Picture) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(picture.data)).convert("RGB"))


def test_names_are_beside_the_maps_and_change_nothing_in_them() -> None:
    options = PictureOptions(labels=True, scale=12)
    atlas = sprite_atlas(named("film", "was", "great"), options, limits=Limits())
    first, other = (
        pixels(drawn(named(*names), scale=12)) for names in (["film", "was", "great"], ["x", "y", "great"])
    )
    assert (atlas.height, atlas.width) == first.shape[:2] == other.shape[:2]
    differs = (first != other).any(axis=-1)
    assert differs.any()
    for box in atlas.boxes[0]:
        assert not differs[box.y : box.y + box.height, box.x : box.x + box.width].any()
    # Each map has the names of its rows at its left, and those of its columns above.
    left = [differs[box.y : box.y + box.height, box.x - 30 : box.x].any() for box in atlas.boxes[0]]
    above = [differs[box.y - 30 : box.y, box.x : box.x + box.width].any() for box in atlas.boxes[0]]
    assert left == above == [True, True]


def test_values_smaller_than_letters_have_no_names() -> None:
    plain = drawn([TileGroup(maps=MAPS)], scale=10)
    assert drawn(named("film", "was", "great"), scale=10).data == plain.data


def test_letters_that_the_font_lacks_are_said() -> None:
    assert drawn(named("film", "was", "good"), scale=12).notes == ()
    (note,) = drawn(named("film", "\u05d8\u05d5\u05d1", "\U0001f600"), scale=12).notes
    assert "code points" in note


@given(st.text(max_size=40), st.integers(12, LONGEST_NAME))
def test_a_shortened_name_is_its_beginning_and_as_narrow_as_it_must_be(name: str, letters: int) -> None:
    short = shortened(name, letters)
    assert text_width(short) <= letters * text_width("W")
    assert short == name or (short.endswith("..") and name.startswith(short[:-2]))


@pytest.mark.parametrize("name", ["", " ", "\n", "\x00", "\u202e", "\ud800", "W" * 1_000])
def test_every_name_can_be_drawn(name: str) -> None:
    assert drawn(named(name, name, name), scale=12).data
