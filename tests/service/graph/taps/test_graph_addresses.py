import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from layerscope.errors import InvalidAddress
from layerscope.graph.taps.addresses import SITES, Address, parse_address
from layerscope.graph.taps.selectors import split_selectors

NAMES = st.text(min_size=1, max_size=12)
ADDRESSES = st.builds(
    Address,
    st.lists(NAMES, min_size=1, max_size=3).map(tuple),
    st.integers(0, 999_999),
    st.integers(0, 999_999),
    st.sampled_from(SITES),
)


@given(ADDRESSES)
@example(Address(("a/b:c@d",), 1, 2, "input"))
@example(Address(("100%", "%41", "[x]", " ")))
def test_every_address_is_read_back_as_it_was(address):
    assert parse_address(str(address)) == address


@given(st.lists(ADDRESSES, max_size=4))
@example([Address(("conv\u00a0",))])
def test_addresses_survive_the_comma_separated_form(addresses):
    texts = [str(address) for address in addresses]
    assert split_selectors([",".join(texts)]) == texts


@given(st.text(max_size=30))
def test_no_text_raises_anything_else(text):
    try:
        address = parse_address(text)
    except InvalidAddress:
        return
    assert parse_address(str(address)) == address


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("conv", "conv"),
        ("conv:0", "conv"),
        ("conv:0.0@output", "conv"),
        ("a/b:01", "a/b:1"),
        ("lstm:0.1", "lstm:0.1"),
        ("conv@input", "conv@input"),
    ],
)
def test_spellings_of_one_address(text, canonical):
    assert str(parse_address(text)) == canonical


@pytest.mark.parametrize(
    "text",
    ["", "/", "a//b", "a:", "a:x", "a:1.", "a:1.x", "a@", "a@there", ":1", "a:-1", "a:1234567", "a@b@c"],
)
def test_what_is_no_address(text):
    with pytest.raises(InvalidAddress):
        parse_address(text)
