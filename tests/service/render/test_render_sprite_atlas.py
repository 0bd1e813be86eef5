"""Sprite atlases: every map lies in its box, boxes do not overlap, and a map looks as in a picture of that map alone."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from layerscope.errors import AnswerTooLarge, NoPicture
from layerscope.limits import Limits
from layerscope.render import Picture, PictureOptions, TileGroup, render, render_groups, sprite_atlas

sizes = st.tuples(st.integers(1, 12), st.integers(1, 9), st.integers(1, 9))
looks = st.fixed_dictionaries(
    {
        "columns": st.none() | st.integers(1, 13),
        "gap": st.integers(0, 3),
        "scale": st.integers(1, 3),
        "labels": st.booleans(),
        "colorbar": st.booleans(),
        "normalize": st.sampled_from(["channel", "layer", "picture"]),
        "colormap": st.sampled_from([None, "viridis"]),
    }
)


def groups_of(shapes: list[tuple[int, int, int]]) -> list[TileGroup]:
    random = np.random.default_rng(len(shapes))
    return [
        TileGroup(maps=random.normal(size=shape).astype(np.float32) * 10.0**number, heading=f"layer{number}")
        for number, shape in enumerate(shapes)
    ]


def palette_indices(picture: Picture) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(picture.data)))


def drawn_and_listed(
    shapes: list[tuple[int, int, int]], look: dict[str, object]
) -> tuple[list[TileGroup], np.ndarray, object]:
    groups, options = groups_of(shapes), PictureOptions(**look)  # type: ignore[arg-type]
    picture = render_groups(groups, options, limits=Limits())
    listed = sprite_atlas(groups, options, limits=Limits())
    assert (listed.width, listed.height) == (picture.width, picture.height)
    assert (listed.colormap, listed.notes, listed.nonfinite) == (
        picture.colormap,
        picture.notes,
        picture.nonfinite,
    )
    assert (listed.value_min, listed.value_max) == (picture.value_min, picture.value_max)
    return groups, palette_indices(picture), listed


@given(st.lists(sizes, min_size=1, max_size=3), looks)
def test_boxes_hold_their_maps_and_everything_else_is_ground_or_text(shapes, look):
    groups, sheet, listed = drawn_and_listed(shapes, look)
    taken = np.zeros(sheet.shape, int)
    for group, boxes in zip(groups, listed.boxes, strict=True):
        for values, box in zip(group.maps, boxes, strict=True):
            window = np.s_[box.y : box.y + box.height, box.x : box.x + box.width]
            taken[window] += 1
            inside = sheet[window][:: look["scale"], :: look["scale"]]
            step = (box.value_max - box.value_min) / listed.levels
            lower = box.value_min + inside * step
            assert (np.abs(values - lower - step / 2) <= step * 0.51).all()
    assert taken.max() == 1
    if not look["colorbar"]:
        assert (sheet[taken == 0] >= listed.levels).all()


@given(st.lists(sizes, min_size=1, max_size=3), st.integers(1, 3))
def test_without_gaps_boxes_tile_the_sheet_and_look_as_their_single_maps(shapes, scale):
    widest = max(width for _, _, width in shapes)
    look = {"columns": 1, "gap": 0, "scale": scale, "colormap": "magma"}
    groups, sheet, listed = drawn_and_listed([(count, height, widest) for count, height, _ in shapes], look)
    assert listed.levels == 256
    boxes = [box for each in listed.boxes for box in each]
    assert sum(box.width * box.height for box in boxes) == sheet.size
    for group, of_group in zip(groups, listed.boxes, strict=True):
        for number, box in enumerate(of_group):
            alone = render(group.maps[number : number + 1], PictureOptions(**look), limits=Limits())
            assert (alone.value_min, alone.value_max) == (box.value_min, box.value_max)
            window = sheet[box.y : box.y + box.height, box.x : box.x + box.width]
            np.testing.assert_array_equal(window, palette_indices(alone))


def test_one_range_over_layers_is_that_of_all_their_values():
    groups = groups_of([(2, 3, 3), (3, 5, 5)])
    everything = np.concatenate([each.maps.ravel() for each in groups])
    most = np.abs(everything).max()
    listed = sprite_atlas(groups, PictureOptions(normalize="picture"), limits=Limits())
    assert {(box.value_min, box.value_max) for each in listed.boxes for box in each} == {(-most, most)}

    clipped = PictureOptions(normalize="picture", percentile=(5, 95), centered="false")
    listed = sprite_atlas(groups, clipped, limits=Limits())
    assert (listed.value_min, listed.value_max) == pytest.approx(np.percentile(everything, [5, 95]), rel=1e-5)


def test_a_range_over_layers_of_several_types_is_the_same_for_all():
    wide = TileGroup(maps=np.array([[[0, 1e300]]]))
    narrow = TileGroup(maps=np.array([[[0, 1]]], np.float16))
    listed = sprite_atlas([wide, narrow], PictureOptions(normalize="picture"), limits=Limits())
    assert {box.value_max for each in listed.boxes for box in each} == {1e300}


def test_each_layer_has_a_range_of_its_own_unless_it_is_shared():
    groups = groups_of([(2, 3, 3), (3, 5, 5)])
    listed = sprite_atlas(groups, PictureOptions(normalize="layer", centered="false"), limits=Limits())
    for group, boxes in zip(groups, listed.boxes, strict=True):
        ends = (group.maps.min(), group.maps.max())
        assert {(box.value_min, box.value_max) for box in boxes} == {ends}


def test_what_has_no_finite_value_has_no_range():
    group = TileGroup(maps=np.array([[[np.nan]], [[2]]], np.float32))
    listed = sprite_atlas([group], PictureOptions(), limits=Limits())
    nothing, two = listed.boxes[0]
    assert np.isnan([nothing.value_min, nothing.value_max]).all()
    assert (two.value_min, two.value_max) == (2, 2)
    assert listed.nonfinite == 1


def test_an_atlas_is_refused_where_its_picture_is():
    with pytest.raises(AnswerTooLarge):
        sprite_atlas(groups_of([(2, 9, 9)]), PictureOptions(), limits=Limits(picture_pixels=100))
    with pytest.raises(NoPicture):
        sprite_atlas(
            [*groups_of([(2, 9, 9)]), TileGroup(maps=np.zeros((0, 3, 3)))], PictureOptions(), limits=Limits()
        )
