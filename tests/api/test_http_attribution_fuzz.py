"""Whatever the options of an attribution are, the answer is a map or an error that is ours, never an exception."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from requests_made import PNG, SEVEN, SEVEN_BASE64
from starlette.testclient import TestClient

from layerscope import demo
from layerscope.attribution import METHODS
from layerscope.execution.local_engine import LocalEngine
from layerscope.limits import Limits
from layerscope_api.context.settings import Settings
from layerscope_api.schemas.attribution_options import HeatMapOptions, HeatPictureOptions, options_of
from layerscope_api.server.app import create_app

pytestmark = pytest.mark.wide

BLANK = ["", " ", ",", ", ,", "\t", "\x00", "\u2003"]
SELECTORS = ["conv1", "conv*", "re:", "re:(", "re:.*", "type:", "type:[", "index:", "index:-1", "index:9..1", "rank:",
             "rank:4", "last:", "last:conv", "@", "@input", "conv1@", "conv1@preactivation", ":", "conv1:", "conv1:9",
             "conv1:0.9", "/", "**", "[", "[!]", "*,*", "all", "input", "outputs", "%", "%2F", "conv1,", ",conv1"]  # fmt: skip
NUMBERS = [0, 1, -1, 2, 3, 28, 29, 2**31 - 1, 2**31, 2**32, 2**53 + 1, 2**63 - 1, 2**63, 2**64, 10**30, 0.5, -0.0, 1e308,
           1e-320, True, False]  # fmt: skip
TEXTS = ["argmax", "1", "01", "+1", "-1", "1.0", "1e3", "nan", "inf", "-inf", "²", "٣", "9" * 50, "x" * 201, "null",
         "true", "black", "mean", "zero", "grey", "input", "probabilities", "0,0", "1,", "1,1,1", "é", "\U0001f600",
         "logit", "log_probability", "probability"]  # fmt: skip
NESTED = [None, [], [[]], {}, {"a": 1}, [1, 2], ["1", "2"], [None], [2**70], [-1], ["conv1"], [1.5], [True]]

written = st.one_of(
    st.sampled_from([*BLANK, *SELECTORS, *TEXTS]), st.sampled_from(NUMBERS).map(str), st.text(max_size=6)
)
given_in_json = st.one_of(
    written,
    st.sampled_from([*NUMBERS, *NESTED]),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
)
FUZZING = settings(
    max_examples=15,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def options_taken(method: str) -> list[str]:
    """All options of both resources of a method, but for the images."""
    models = (options_of(METHODS[method], answer) for answer in (HeatMapOptions, HeatPictureOptions))
    return sorted({name for model in models for name in model.model_fields} - {"image", "preprocess"})


@pytest.fixture(scope="module")
def served() -> Iterator[TestClient]:
    """Each request runs little: what takes more than 40 runs is refused."""
    engine = LocalEngine(demo.MODELS, Limits(attribution_runs=40, picture_pixels=1_000_000))
    engine.load_all()
    with TestClient(create_app(Settings(models=None, limits=engine.limits), engine)) as http:
        yield http
    engine.close()


@pytest.mark.parametrize("method", METHODS)
@FUZZING
@given(data=st.data())
def test_r08_options_in_json(served: TestClient, method: str, data: st.DataObject) -> None:
    names = data.draw(st.lists(st.sampled_from(options_taken(method)), max_size=3, unique=True))
    options = {name: data.draw(given_in_json, label=name) for name in names}
    _check(served, method, options, in_json=True, suffix=data.draw(st.sampled_from(["", ".png"])))


@pytest.mark.parametrize("method", METHODS)
@FUZZING
@given(data=st.data())
def test_r08_options_in_a_query(served: TestClient, method: str, data: st.DataObject) -> None:
    names = data.draw(st.lists(st.sampled_from(options_taken(method)), max_size=3, unique=True))
    options = {name: data.draw(written, label=name) for name in names}
    _check(served, method, options, in_json=False, suffix=data.draw(st.sampled_from(["", ".png"])))


@pytest.mark.parametrize("method", METHODS)
def test_r08_one_option_at_a_time(served: TestClient, method: str) -> None:
    """Options that the answer has, whatever the method, are tried with one method."""
    of_method = set(METHODS[method].options.model_fields)
    for name in options_taken(method) if method == "gradcam" else sorted(of_method):
        values = [*BLANK, *(SELECTORS if name == "layer" else NUMBERS)]
        for value in values:
            _check(served, method, {name: value}, in_json=False, suffix=".png")
        for value in [*values, *NESTED]:
            _check(served, method, {name: value}, in_json=True, suffix="")


def _check(http: TestClient, method: str, options: dict[str, Any], *, in_json: bool, suffix: str) -> None:
    url = f"/v1/models/digits/attributions/{method}{suffix}"
    if in_json:
        answer = http.post(url, json={**options, "images": [{"base64": SEVEN_BASE64}]})
    else:
        answer = http.post(url, params=options, content=SEVEN, headers=PNG)
    assert answer.status_code in {200, 400, 404, 413, 415, 422}, (options, answer.text)
    if answer.status_code != 200:
        assert answer.json()["code"] not in {"internal_error", "internal"}, (options, answer.text)


@pytest.mark.parametrize("blank", BLANK)
@pytest.mark.parametrize("method", [name for name, method in METHODS.items() if method.kind == "layer"])
def test_a_blank_layer_is_no_layer(served: TestClient, method: str, blank: str) -> None:
    for suffix in ("", ".png"):
        url = f"/v1/models/digits/attributions/{method}{suffix}"
        answer = served.post(url, params={"layer": blank}, content=SEVEN, headers=PNG)
        assert answer.status_code in {400, 422}, answer.text
        assert answer.json()["code"] in {"invalid_selector", "invalid_address", "layer_not_found"}
