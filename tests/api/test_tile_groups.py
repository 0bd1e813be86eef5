"""What each tile of a picture shows, for activations of every rank."""

from collections.abc import Sequence

import numpy as np
import pytest

from layerscope.graph.taps.addresses import Address
from layerscope.graph.taps.tap import LayerCall, Tap, Tensor
from layerscope.tensors.activations import Activation
from layerscope_api.serializers.feature_map import tile_contents, tile_group


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
def test_each_slice_of_each_channel_is_where_its_place_says(channels: str, channels_first: bool) -> None:
    whole = activation(2, *((2, 3, 4, 5) if channels_first else (3, 4, 5, 2)), channels_first=channels_first)

    chosen = whole.select(channels)
    group, places = tile_group(chosen, labelled=True), tile_contents(chosen)

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
