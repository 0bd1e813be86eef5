import contextlib
import time

import pytest
from graph_models import gru_model, nested_model, residual_model, traced
from hypothesis import given
from hypothesis import strategies as st

from layerscope.errors import InvalidAddress, InvalidSelector, LayerNotFound, LayerscopeError
from layerscope.graph.taps.selectors import split_selectors

SELECTORS = st.sampled_from(
    [
        "all",
        "outputs",
        "input",
        "squeeze:1",
        "**/conv",
        "type:Conv2D@preactivation",
        "index:1..3",
        "rank:4",
        "last:conv",
        "re:bn$",
        "middle/*",
        "inner*@input",
        "index:-1",
        "all@input",
        "squeeze",
    ]
)
SYNTAX = st.sampled_from(
    [*list("*?[]!:@./,-\\(){}^$|0"), "re:", "type:", "index:", "rank:", "last:", "all", "conv"]
)


@pytest.fixture(scope="module")
def nested():
    return traced(nested_model()).index


@pytest.fixture(scope="module")
def residual():
    return traced(residual_model()).index


def chosen(index, *selectors):
    return [tap.address for tap in index.select(selectors)]


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("squeeze", ["squeeze"]),
        ("squeeze:0", ["squeeze"]),
        ("squeeze:1", ["squeeze:1"]),
        ("squeeze@preactivation", ["squeeze@preactivation"]),
        ("squeeze:01@output", ["squeeze:1"]),
        ("squee*", ["squeeze", "squeeze:1"]),
        ("squee*:1@input", ["squeeze:1@input"]),
        ("s?ueeze:0", ["squeeze"]),
        ("[rs]queeze:0", ["squeeze"]),
        ("[!r]queeze:0", ["squeeze"]),
        ("*/conv", ["middle/conv", "inner/conv"]),
        ("**/conv", ["middle/inner/conv", "middle/conv", "inner/conv"]),
        ("middle/**", ["middle/inner/conv", "middle/inner/bn", "middle/inner", "middle/conv"]),
        ("middle[!x]conv", None),
        ("re:^inner/", ["inner/conv", "inner/bn"]),
        ("re:(^|,)squeeze:1$", ["squeeze:1"]),
        ("type:BatchNormalization", ["middle/inner/bn", "inner/bn"]),
        ("type:Global*", ["pool"]),
        ("type:Conv2D@preactivation", "all@preactivation"),
        ("index:0", ["images"]),
        ("index:-1", ["pool"]),
        ("index:-2..-1@input", ["merged@input", "merged:0.1@input", "pool@input"]),
        ("rank:2", ["pool"]),
        ("last:conv", ["squeeze:1"]),
        ("last:CONV", ["squeeze:1"]),
        ("last:batch", ["inner/bn"]),
        ("input", ["images"]),
        ("outputs", ["pool"]),
    ],
)
def test_forms(nested, selector, expected):
    if expected is None:
        with pytest.raises(LayerNotFound):
            nested.select([selector])
    else:
        assert chosen(nested, selector) == (
            chosen(nested, expected) if isinstance(expected, str) else expected
        )


def test_all_is_the_output_of_every_call_in_graph_order(nested):
    addresses = chosen(nested, "all")
    assert addresses == [
        tap.address for call in nested.calls for tap in call.taps if tap.place.site == "output"
    ]
    assert addresses[0] == "images"
    assert addresses[-1] == "pool"


def test_a_range_of_places_is_that_of_the_models_layers(residual):
    assert chosen(residual, "index:1..3") == ["stem", "drop", "branch"]
    assert chosen(residual, "index:3") == ["branch"]


def test_several_are_united_in_graph_order_without_duplicates(nested):
    assert chosen(nested, "pool", "squeeze", "squ*", "squeeze:0") == ["squeeze", "squeeze:1", "pool"]


def test_nothing_asked_for_is_nothing(nested):
    assert nested.select([]) == []


@given(st.lists(SELECTORS, max_size=5))
def test_a_union_is_the_union_of_its_parts(nested, selectors):
    parts = {tap.address for selector in selectors for tap in nested.select([selector])}
    union = chosen(nested, *selectors)
    assert set(union) == parts
    order = {address: place for place, address in enumerate(nested._taps)}
    assert union == sorted(union, key=order.__getitem__)


@given(st.text(max_size=40) | st.lists(SYNTAX, max_size=8).map("".join))
def test_no_text_raises_anything_else(nested, text):
    with contextlib.suppress(LayerscopeError):
        assert nested.select([text])


@pytest.mark.parametrize(
    ("selector", "near"),
    [
        ("squeze", "squeeze"),
        ("SQUEEZE", "squeeze"),
        ("bn", "middle/inner/bn"),
        ("midle/conv", "middle/conv"),
        ("pool:1", "pool"),
        ("pool@preactivation", "pool"),
    ],
)
def test_near_misses_are_named(nested, selector, near):
    with pytest.raises(LayerNotFound) as raised:
        nested.select([selector])
    assert near in raised.value.details["near"]
    assert len(raised.value.details["near"]) <= 3


def test_a_site_that_a_layer_does_not_have_is_told_with_those_it_has(nested):
    with pytest.raises(LayerNotFound, match="pool has no such site; its sites are output, input"):
        nested.select(["pool@preactivation"])


@pytest.mark.parametrize(
    "selector",
    ["re:(", "re:a{2000}{2000}", "index:x", "index:", "type:[z-a]", "*:x", "x" * 1001, "re:\ud800"],
)
def test_malformed_selectors(nested, selector):
    with pytest.raises(InvalidSelector):
        nested.select([selector])


@pytest.mark.parametrize("selector", ["conv@there", "a//b", "", "conv:x"])
def test_malformed_addresses(nested, selector):
    with pytest.raises(InvalidAddress):
        nested.select([selector])


def test_no_pattern_takes_more_than_an_instant(nested):
    patterns = ["re:(a*)*(b*)*(a|a)*$", "re:" + "(.*)" * 200 + "x$", "*" * 900, "**/" * 300, "?*" * 450]
    started = time.process_time()
    for pattern in patterns:
        try:
            nested.select([pattern])
        except LayerscopeError:
            continue
    # Backtracking would take centuries.
    assert time.process_time() - started < 30


def test_values_are_split_at_commas_except_in_patterns():
    assert split_selectors(["a, b", "re:x{1,2}", "", ",c,"]) == ["a", "b", "re:x{1,2}", "c"]


def test_cells_in_loops_are_not_selected():
    index = traced(gru_model()).index
    assert chosen(index, "type:GRU*") == ["gru"]
