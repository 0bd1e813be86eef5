import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerscope.errors import ChannelNotFound, OptionInvalid
from layerscope.tensors.channels import ChannelSelection

RANGES = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 5)), min_size=1, max_size=5)


@given(RANGES)
def test_lists_and_ranges_mean_the_channels_they_spell(ranges):
    text = ",".join(f"{low}-{low + more}" if more else str(low) for low, more in ranges)
    expected = [number for low, more in ranges for number in range(low, low + more + 1)]

    selection = ChannelSelection.parse(text)

    assert selection.resolve(np.zeros((2, 36, 3)), "conv1").tolist() == [expected, expected]
    assert selection.count(36) == len(expected)


@given(st.text(alphabet="0123456789,-:toparl x", max_size=12))
def test_any_text_is_a_selection_or_refused(text):
    try:
        selection = ChannelSelection.parse(text)
    except OptionInvalid:
        return
    assert selection.is_all or selection.count(10**9) > 0


@pytest.mark.parametrize(
    "text", ["", "top:0", "top:", "top:-1", "3-1", "-1", "1,,2", "all,1", "1e3", "0x1", "0-99999"]
)
def test_what_the_grammar_does_not_have_is_refused(text):
    with pytest.raises(OptionInvalid):
        ChannelSelection.parse(text)


def test_all_takes_every_channel():
    selection = ChannelSelection.parse("all")

    assert selection.is_all
    assert selection.count(16) == 16
    assert selection.resolve(np.zeros((1, 3, 2)), "conv1").tolist() == [[0, 1, 2]]


def test_top_orders_each_image_by_falling_mean_magnitude():
    values = np.array([[[1, 1], [-9, 5], [3, 3]], [[8, 8], [0, 0], [-9, -9]]], np.float32)

    assert ChannelSelection.parse("top:2").resolve(values, "conv1").tolist() == [[1, 2], [2, 0]]


def test_top_takes_no_more_than_there_are_and_keeps_order_among_equals():
    values = np.tile(np.array([[1.0], [2.0]], np.float32), (1, 100, 1))

    expected = [*range(1, 200, 2), *range(0, 200, 2)]
    assert ChannelSelection.parse("top:999").resolve(values, "conv1").tolist() == [expected]


def test_top_puts_a_channel_of_nan_last():
    values = np.array([[[np.nan], [0.5], [0.1]]], np.float32)

    assert ChannelSelection.parse("top:3").resolve(values, "conv1").tolist() == [[1, 2, 0]]


def test_a_channel_that_is_not_there_is_named_with_how_many_there_are():
    with pytest.raises(ChannelNotFound, match=r"conv1 has 16 channels.*no channel 16") as caught:
        ChannelSelection.parse("0,3-16").require(16, "conv1")

    assert caught.value.details == {"layer": "conv1", "channel": 16, "channels": 16}
