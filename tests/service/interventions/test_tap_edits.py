"""Edits of taps: the arrays that a run takes, compared with the change written in numpy."""

import numpy as np
import pytest

from layerscope.errors import ChannelNotFound, LayerNotFound, OptionInvalid
from layerscope.graph.taps.selectors import TapIndex
from layerscope.graph.taps.tap import LayerCall, Tensor
from layerscope.interventions import parse_edit, tap_edits

VALUES = np.random.default_rng(0).normal(size=(2, 5, 4, 3)).astype(np.float32)


def layer(name, *shape, first=False):
    places = ("height", "width")[: len(shape) - 1]
    axes = ("channels", *places) if first else (*places, "channels")
    tensors = {"output": (Tensor(f"{name}:0", shape, "float32", axes=axes),)}
    return LayerCall((name,), 0, "Layer", 0, 0, False, (), tensors)


INDEX = TapIndex([layer("map", 5, 4, 3), layer("first", 3, 5, 4, first=True), layer("vector", 3)], (), ())


def change(values, *texts, patches=None):
    (edit,) = tap_edits(INDEX, [parse_edit(text) for text in texts])
    made = edit.edit(values.shape[1:], values, patches or {})
    return np.clip(values * made.scale + made.shift, made.low, made.high)


@pytest.mark.parametrize(("name", "channel", "rows", "columns"), [("map", 3, 1, 2), ("first", 1, 2, 3)])
def test_channels_and_places_lie_along_their_axes(name, channel, rows, columns):
    values = np.moveaxis(VALUES, 3, channel)
    expected = values.copy()
    where = [slice(None)] * 4
    where[channel], where[rows], where[columns] = slice(1, 3), slice(2, 5), slice(0, 2)
    expected[tuple(where)] = 7
    found = change(values, f"{name};channels=1-2;region=0,2,2,5;set=7")
    np.testing.assert_allclose(found, expected)


def test_each_chosen_channel_can_have_a_number():
    expected = VALUES.copy()
    expected[..., 0] += 0.5
    expected[..., 2] -= 1
    np.testing.assert_allclose(change(VALUES, "map;channels=0,2;add=0.5,-1"), expected, rtol=1e-6)


def test_scale_comes_before_add_and_both_before_the_bounds():
    found = change(VALUES, "map;scale=2;add=1;low=-0.5;high=0.5")
    np.testing.assert_allclose(found, np.clip(VALUES * 2 + 1, -0.5, 0.5), rtol=1e-6)


def test_the_mean_is_that_of_each_channel_of_each_image():
    found = change(VALUES, "map;channels=1;set=mean")
    np.testing.assert_allclose(
        found[..., 1], VALUES[..., 1].mean((1, 2), keepdims=True) * np.ones((1, 5, 4)), rtol=1e-6
    )
    np.testing.assert_array_equal(found[..., 0], VALUES[..., 0])


def test_a_patch_puts_values_of_another_image_there():
    other = VALUES[1]
    found = change(VALUES, "map;region=1,1,3,3;patch=a", patches={"a": other})
    np.testing.assert_allclose(found[:, 1:3, 1:3], np.broadcast_to(other[1:3, 1:3], (2, 2, 2, 3)), rtol=1e-6)
    np.testing.assert_array_equal(found[:, 0], VALUES[:, 0])


def test_edits_of_different_channels_of_one_tap_stand_together_in_any_order():
    texts = ["map;channels=0;set=0", "map;channels=1;scale=3"]
    expected = VALUES * np.array([0, 3, 1], np.float32)
    np.testing.assert_allclose(change(VALUES, *texts), expected, rtol=1e-6)
    (one,), (two,) = (
        tap_edits(INDEX, [parse_edit(text) for text in order]) for order in (texts, texts[::-1])
    )
    assert one == two
    assert one.name == two.name


def test_the_name_tells_different_edits_apart():
    texts = [
        "map;set=0",
        "map;set=1",
        "map;channels=0;set=0",
        "map;scale=0",
        "map;patch=a",
        "map;patch=b",
        "map;set=mean",
    ]
    names = {tap_edits(INDEX, [parse_edit(text)])[0].name for text in texts}
    assert len(names) == len(texts)


def test_a_selector_edits_all_that_it_selects():
    assert [edit.tap.address for edit in tap_edits(INDEX, [parse_edit("rank:4;set=0")])] == ["map", "first"]


@pytest.mark.parametrize(
    ("texts", "error"),
    [
        (["map;channels=3;set=0"], ChannelNotFound),
        (["map;channels=top:2;set=0"], OptionInvalid),
        (["map;channels=x;set=0"], OptionInvalid),
        (["map;channels=0-1;add=1,2,3"], OptionInvalid),
        (["map;region=0,0,5,5;set=0"], OptionInvalid),
        (["map;region=2,0,1,5;set=0"], OptionInvalid),
        (["vector;region=0,0,1,1;set=0"], OptionInvalid),
        (["map;channels=0-1;set=0", "map;channels=1;scale=2"], OptionInvalid),
        (["maps;set=0"], LayerNotFound),
    ],
)
def test_edits_that_do_not_fit_are_refused(texts, error):
    with pytest.raises(error):
        change(np.zeros((2, 3), np.float32) if "vector" in texts[0] else VALUES, *texts)
