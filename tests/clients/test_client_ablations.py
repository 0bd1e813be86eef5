"""Sweeps and edits through the Python client: arrays, progress, and what a notebook shows."""

import math
import re

import httpx2
import numpy as np
import pytest

from layerscope.demo import samples
from layerscope_client import Client
from layerscope_client.errors import AnswerUnreadable, OptionInvalid

SEVEN = samples()["seven"]


def test_a_sweep_is_an_array_with_what_it_is_of(digits):
    found = digits.ablations([SEVEN, samples()["three"]], "dense", top=3)
    assert found.effects.shape == (2, 32)
    assert (found.by, found.layers, found.model) == ("channel", ("dense",), "digits@1")
    assert [target["class"] for target in found.targets] == [7, 3]
    best = found.order[0]
    assert best == np.argsort(-found.effects[0], kind="stable")[:3].tolist()
    assert found.name(best[0]) == f"dense {best[0]}"
    edited = digits.edited(f"dense;channels={','.join(map(str, best))};set=0")
    summary = edited.interventions(SEVEN)
    assert summary["outputs"][0]["flipped"] == [True]
    assert summary["effects"][0]["score"] > found.effects[0, best[0]]


def test_units_that_were_not_run_have_no_effect(digits):
    found = digits.ablations(SEVEN, "conv3", screen=2)
    assert not found.complete
    assert np.isfinite(found.effects).sum() == 2


def test_layers_and_places(digits):
    layers = digits.ablations(SEVEN, layers=["conv*", "dense"])
    assert [layers.name(unit) for unit in range(4)] == ["conv1", "conv2", "conv3", "dense"]
    places = digits.ablations(SEVEN, "conv2", by="place", grid=2, metric="distance")
    assert places.effects.shape == (1, 2, 2)
    assert len(places.regions) == 4


def test_progress_is_told_and_changes_nothing(digits):
    progress = []
    found = digits.ablations(SEVEN, "conv1", by="place", grid=9, progress=lambda *done: progress.append(done))
    assert progress
    np.testing.assert_array_equal(found.effects, digits.ablations(SEVEN, "conv1", by="place", grid=9).effects)


def test_a_notebook_shows_bars_of_the_largest_effects(digits):
    html = digits.ablations(SEVEN, "conv3", top=16)._repr_html_()
    widths = [float(width) for width in re.findall(r"width:(\d+)px", html)]
    assert len(widths) == 16
    assert widths[0] == max(widths) == 200
    assert html.count("#d62728") == 1
    assert "what is lost without the channel" in html


def test_names_are_escaped_in_a_notebook(digits):
    found = digits.ablations(SEVEN, "conv3", top=1)
    vars(found)["layers"] = ("<b>",)
    assert "<b>" not in found._repr_html_()


def test_a_change_is_the_difference(digits):
    edited = digits.edited("conv2;channels=0-7;set=0")
    change = edited.activations(SEVEN, "conv3", change=True)["conv3"]
    expected = edited.activations(SEVEN, "conv3")["conv3"] - digits.activations(SEVEN, "conv3")["conv3"]
    np.testing.assert_allclose(change, expected, atol=1e-5)
    picture = edited.feature_map(SEVEN, "conv3", 3, change=True)
    assert math.isclose(picture.value_min, -picture.value_max)


def test_errors_keep_their_kind(digits):
    with pytest.raises(OptionInvalid, match="conv"):
        digits.ablations(SEVEN, "conv*")
    with pytest.raises(OptionInvalid, match="no edit"):
        digits.interventions(SEVEN)


def test_an_answer_that_is_none_is_told():
    http = httpx2.Client(
        base_url="http://any",
        transport=httpx2.MockTransport(lambda _: httpx2.Response(200, json={"model": 1})),
    )
    with pytest.raises(AnswerUnreadable):
        Client(http=http).model("digits").ablations(np.zeros((1, 2), np.float32), "conv")
