"""Results show themselves in a notebook: tables with small pictures, in which every name is text."""

import base64
import io
import re
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from PIL import Image

from layerscope.demo import samples
from layerscope_client import Activations, Model, errors

SEVEN = samples()["seven"]


class Cells(HTMLParser):
    """The texts of the cells of a table, and its pictures; anything that is not closed is an error."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.pictures: list[np.ndarray[Any, Any]] = []
        self.open: list[str] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            data = base64.b64decode((dict(attrs)["src"] or "").removeprefix("data:image/png;base64,"))
            self.pictures.append(np.asarray(Image.open(io.BytesIO(data))))
            return
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in {"td", "th"}:
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1] in {"td", "th"}:
            self.rows[-1][-1] += data


def shown(result: Any) -> Cells:
    return Cells(result._repr_html_())


def test_layers_are_a_table(digits: Model) -> None:
    layers = digits.layers("conv*")
    assert shown(layers).rows[:2] == [
        ["layer", "type", "shape", "parameters", "can"],
        ["conv1", "Conv2D", "28 x 28 x 16", "416", ", ".join(layers[0]["can"])],
    ]


def test_activations_are_shown_with_their_most_active_maps(digits: Model) -> None:
    activations = digits.activations(SEVEN, layers=["conv1", "dense"])
    cells = shown(activations)
    assert [row[:4] for row in cells.rows[1:]] == [
        ["conv1", "Conv2D", "1 x 28 x 28 x 16", "float32"],
        ["dense", "Dense", "1 x 32", "float32"],
    ]
    assert [each.shape for each in cells.pictures] == [(28, 28)] * 6 + [(1, 32)]
    maps = activations["conv1"][0]
    best = maps[..., np.abs(maps).mean(axis=(0, 1)).argmax()]
    assert np.unravel_index(cells.pictures[0].argmax(), (28, 28)) == np.unravel_index(best.argmax(), (28, 28))


def test_quantized_activations_are_shown_by_their_values(digits: Model) -> None:
    exact, stored = (
        shown(digits.activations(SEVEN, layers="conv1", dtype=each)) for each in ("float32", "uint8")
    )
    assert np.abs(exact.pictures[0].astype(int) - stored.pictures[0]).max() <= 2


def test_attributions_are_shown_as_heat_maps_with_what_they_explain(digits: Model) -> None:
    attribution = digits.attribution([SEVEN, samples()["two"]], "gradcam")
    cells = shown(attribution)
    assert [row[1] for row in cells.rows[1:]] == ["7", "2"]
    assert [each.shape for each in cells.pictures] == [attribution.maps.shape[1:]] * 2
    assert len(shown(digits.attribution(SEVEN, "eigencam")).pictures) == 1


def test_predictions_and_statistics_are_tables_and_still_dictionaries(digits: Model) -> None:
    predictions = digits.predictions(SEVEN, top=2)
    assert shown(predictions).rows[1][1:5] == ["probabilities", "1", "7", "7"]
    assert predictions == dict(predictions)
    statistics = digits.statistics(SEVEN, layers="conv*")
    cells = shown(statistics)
    assert [row[0] for row in cells.rows[1:]] == ["conv1", "conv2", "conv3"]
    assert len(cells.pictures) == 3


def test_names_are_text_whatever_is_in_them() -> None:
    name = "<img src=x onerror=alert(1)>"
    layer = {"type": name, "channel_axis": None}
    values = {name: np.zeros((1, 2), np.float32)}
    activations = Activations(
        model=name, digest="", images=(), warnings=(), layers={name: layer}, _tensors=values
    )
    html = activations._repr_html_()
    assert "<img src=x" not in html
    assert shown(activations).rows[1][0] == name


def test_a_missing_layer_and_an_error_name_what_is_near(digits: Model) -> None:
    activations = digits.activations(SEVEN, layers=["conv1", "conv2"])
    with pytest.raises(KeyError, match=re.escape("did you mean conv1")):
        activations["cnv1"]
    with pytest.raises(errors.LayerNotFound, match="Did you mean conv1") as caught:
        digits.activations(SEVEN, layers="cnv1")
    assert caught.value.near[0] == "conv1"
