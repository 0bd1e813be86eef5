"""What each tile of a picture shows, for activations of every rank."""

from collections.abc import Sequence

import numpy as np
import pytest

from layerscope.graph.taps.addresses import Address
from layerscope.graph.taps.tap import AxisName, LayerCall, Tap, Tensor
from layerscope.tensors.activations import Activation
from layerscope_api.serializers.tile_groups import blank_group, tile_contents, tile_group
from layerscope_api.serializers.token_names import DrawnTokens


def activation(*shape: int, channels_first: bool = False) -> Activation:
    values = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    places = ("depth", "height", "width")[-max(len(shape) - 2, 0) :] if len(shape) > 2 else ()
    channels = ("channels",) * (len(shape) > 1)
    axes = (*channels, *places) if channels_first else (*places, *channels)
    tensor = Tensor("layer/output:0", shape[1:], "float32", axes=axes)
    call = LayerCall(("layer",), 0, "Conv3D", 0, 0, False, (), {"output": (tensor,)})
    return Activation.of(Tap(Address(("layer",), 0, 0, "output"), call, tensor), values)


@pytest.mark.parametrize("channels_first", [False, True])
@pytest.mark.parametrize("channels", ["all", "1,0", "top:1"])
@pytest.mark.parametrize("slices", [None, "2,0-1", "1"])
def test_each_slice_of_each_channel_is_where_its_place_says(
    channels: str, channels_first: bool, slices: str | None
) -> None:
    whole = activation(2, *((2, 3, 4, 5) if channels_first else (3, 4, 5, 2)), channels_first=channels_first)

    chosen = whole.select(channels)
    group, places = tile_group(chosen, labelled=True, slices=slices), tile_contents(chosen, slices)
    blank, _ = blank_group(whole.spec, channels, slices)

    assert blank.maps.shape == group.maps.shape
    numbers = {None: [0, 1, 2], "2,0-1": [2, 0, 1], "1": [1]}[slices]
    assert [place.slice for place in places[: len(numbers)]] == numbers
    by_channel = whole.values if channels_first else np.moveaxis(whole.values, -1, 1)
    for maps, place in zip(group.maps, places, strict=True):
        np.testing.assert_array_equal(maps, by_channel[place.image, place.channel, place.slice])
    assert [f"{place.channel}:{place.slice}" for place in places] == group.names


def names_of(activation: Activation) -> Sequence[str] | None:
    return tile_group(activation, labelled=True).names


def test_a_label_is_the_channel_or_the_image_of_what_has_none() -> None:
    assert names_of(activation(2, 3, 3, 4).select("3,1")) == ["3", "1"] * 2
    assert names_of(activation(3, 7)) == ["0", "1", "2"]
    assert names_of(activation(2, 7, 5)) == ["0", "1"]
    assert names_of(activation(2, 7, 5).select("2,4")) == ["2", "4"] * 2


def attended(*shape: int, axes: tuple[AxisName, ...]) -> Activation:
    tensor = Tensor("layer/Softmax:0", shape[1:], "float32", axes=axes)
    call = LayerCall(("layer",), 0, "MultiHeadAttention", 0, 0, False, (), {"scores": (tensor,)})
    values = np.zeros(shape, np.float32)
    return Activation.of(Tap(Address(("layer",), 0, 0, "scores"), call, tensor), values)


def test_rows_and_columns_of_tokens_have_their_names_and_those_of_others_their_numbers() -> None:
    scores = attended(2, 3, 2, 4, axes=("heads", "query", "key"))
    texts = [["a", "film"], ["the", "end"]]
    tokens = DrawnTokens(texts, kept=[0, 1])

    group = tile_group(scores, labelled=True, tokens=tokens)

    assert group.sides is not None
    assert len(group.sides) == len(group.maps) == 6
    assert [each.rows for each in group.sides] == [texts[0]] * 3 + [texts[1]] * 3
    assert {tuple(each.columns) for each in group.sides} == {("0", "1", "2", "3")}
    assert tile_group(scores, labelled=False, tokens=tokens).sides is None
    without_first = tile_group(scores, labelled=True, tokens=DrawnTokens(texts, kept=[1]))
    assert without_first.maps.shape == (6, 1, 4)
    assert [each.rows for each in without_first.sides or ()] == [["film"]] * 3 + [["end"]] * 3
    assert {tuple(each.columns) for each in without_first.sides or ()} == {("0", "1", "2", "3")}


@pytest.mark.parametrize(
    ("channels", "rows", "columns"),
    [("all", ["a", "film"], []), ("2", [], ["a", "film"])],
    ids=["tokens x features", "one feature"],
)
def test_features_of_tokens_have_no_names(channels: str, rows: list[str], columns: list[str]) -> None:
    features = attended(1, 2, 5, axes=("tokens", "channels")).select(channels)

    tokens = DrawnTokens([["a", "film"]], kept=[0, 1])
    (sides,) = tile_group(features, labelled=True, tokens=tokens).sides or ()

    assert (list(sides.rows), list(sides.columns)) == (rows, columns)


def test_what_counts_no_tokens_has_no_names_at_its_sides() -> None:
    tokens = DrawnTokens([["a", "b", "c"]] * 2, kept=[0])
    group = tile_group(activation(2, 3, 3, 4), labelled=True, tokens=tokens)
    assert group.sides is None
    assert group.maps.shape == (8, 3, 3)
