"""Which layers are compared with which, and where in the graph a change begins."""

import itertools

import numpy as np
import pytest
from graph_models import traced
from keras import Input, Model, Sequential, layers

from layerscope.comparison import Rule, align, by_address, by_rules, origins
from layerscope.errors import OptionInvalid


@pytest.fixture(scope="module")
def network():
    """A stem, a nested model that is called twice, and two branches that meet."""
    inner = Sequential(
        [Input((4, 4, 2)), layers.Conv2D(2, 1, name="conv"), layers.ReLU(name="relu")], name="inner"
    )
    image = Input((4, 4, 2), name="image")
    stem = layers.Conv2D(2, 1, name="stem")(image)
    first = inner(stem)
    second = inner(first)
    left = layers.Conv2D(2, 1, name="left")(second)
    right = layers.Conv2D(2, 1, name="right")(second)
    end = layers.Add(name="end")([left, right])
    return traced(Model(image, end))


def found(network, changed, compared=None):
    taps = {tap.address: tap for tap in network.index.outputs()}
    return origins(taps, taps if compared is None else compared, changed)


def test_a_change_begins_where_nothing_before_changed(network) -> None:
    after = ["inner/relu", "inner", "inner/conv:1", "inner/relu:1", "inner:1", "left", "right", "end"]
    assert found(network, []) == []
    assert found(network, ["stem", "inner/conv", *after]) == ["stem"]
    assert found(network, ["inner/conv", *after]) == ["inner/conv"]
    assert found(network, ["left", "right", "end"]) == ["left", "right"]
    assert found(network, ["end"]) == ["end"]


def test_a_group_is_an_origin_only_if_nothing_inside_is(network) -> None:
    assert found(network, ["inner/relu", "inner"]) == ["inner/relu"]
    assert found(network, ["inner"]) == ["inner"]


def test_layers_that_were_not_compared_are_passed_by(network) -> None:
    assert found(network, ["stem", "end"], compared=["stem", "end"]) == ["stem"]
    assert found(network, ["end"], compared=["stem", "end"]) == ["end"]
    assert found(network, ["inner:1", "end"], compared=["stem", "inner:1", "end"]) == ["inner:1"]


def test_layers_match_by_address_and_the_others_are_listed(network) -> None:
    taps = network.taps("stem", "left", "right")
    matching = by_address(taps, taps[1:])
    assert [(one.address, other.address) for one, other in matching.pairs] == [
        ("left", "left"),
        ("right", "right"),
    ]
    assert (matching.only_reference, matching.only_candidate) == (("stem",), ())


def test_rules_carry_over_what_their_wildcards_stand_for(network) -> None:
    taps = network.taps("inner/conv", "inner/relu", "left", "end")
    rules = [Rule("inner/**=inner/**:1").partner, Rule("left=right").partner]
    matching = by_rules(rules, taps, network.index.outputs())
    assert [(one.address, other.address) for one, other in matching.pairs] == [
        *(("inner/conv", "inner/conv:1"), ("inner/relu", "inner/relu:1"), ("left", "right"), ("end", "end"))
    ]
    assert Rule("block?_*=b?/*").partner("block3_conv") == "b3/conv"
    assert Rule("a*=b*").partner("a/x") is None


@pytest.mark.parametrize(
    "text", ["", "a", "=", "a=", "=b", "a*=b", "a*=b**", "a?*=b*?", "a*=" + "b" * 2000 + "*"]
)
def test_what_is_no_rule_is_refused(text: str) -> None:
    with pytest.raises(OptionInvalid, match="no rule"):
        Rule(text)


def test_alignment_is_the_best_of_all_in_order() -> None:
    rng = np.random.default_rng(0)
    for rows, columns in itertools.product(range(1, 5), repeat=2):
        matrix = rng.uniform(-0.5, 1, (rows, columns))
        size = min(rows, columns)
        best = max(
            sum(max(0.0, matrix[a, b]) for a, b in zip(ones, others, strict=True))
            for k in range(size + 1)
            for ones in itertools.combinations(range(rows), k)
            for others in itertools.combinations(range(columns), k)
        )
        pairs = align(matrix)
        assert sum(matrix[pair] for pair in pairs) == pytest.approx(best)
        assert pairs == sorted(pairs)
        assert all(matrix[pair] > 0 for pair in pairs)
    assert align(np.full((2, 2), np.nan)) == []
    assert align(np.eye(3)[:, 1:]) == [(1, 0), (2, 1)]
