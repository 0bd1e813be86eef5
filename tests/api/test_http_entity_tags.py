"""Entity tags: answers that differ never have the same one, so that a client never takes one answer for another."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import pytest
from httpx2 import Response
from keras import layers
from requests_made import PNG, SEVEN
from starlette.testclient import TestClient

from layerscope import demo
from layerscope.execution.interface import Query
from layerscope.execution.local_engine import LocalEngine
from layerscope.execution.prepared_query import LocalPreparedQuery
from layerscope.models.control import Control
from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app

LAYER = {"layer": "conv2"}
USUAL: dict[str, dict[str, Any]] = {
    "activations": {"layers": "conv2"},
    "statistics": {"layers": "conv2"},
    "statistics.png": {"layers": "conv2"},
    "predictions": {},
    "feature-map.png": LAYER,
    "feature-map.json": LAYER,
    "overlay.png": LAYER,
    "attributions/gradcam": LAYER,
    "attributions/occlusion": {"patch": 14},
    "attributions/occlusion.png": {"patch": 14},
    "attributions/scorecam": {**LAYER, "top": 2},
    "attributions/smoothgrad": {"samples": 2},
    "attributions/integrated-gradients": {"steps": 2},
}
"""Resources with an entity tag, and options with which they are made soon."""

OTHERS: dict[str, list[Any]] = {
    "edit": [["conv1;scale=2"], ["conv1;scale=3"], ["conv1;channels=0;scale=3"]],
    "alpha": [0.25],
    "baseline": ["white", "mean", "zero"],
    "bins": [8],
    "centered": ["true", "false"],
    "channel": [1],
    "channels": ["1", "0,1", "top:2"],
    "colorbar": [True],
    "colormap": ["magma", "gray"],
    "columns": [3],
    "dtype": ["float16", "uint8"],
    "format": ["npy", "npz", "safetensors"],
    "gap": [2],
    "histograms": ["channel", "none"],
    "input": ["input"],
    "interpolation": ["nearest"],
    "labels": [True],
    "layer": ["conv1", "conv3", "conv2@preactivation"],
    "layers": ["conv1", "conv*"],
    "layout": ["nchw"],
    "noise": [0.3],
    "normalize": ["layer", "none"],
    "on": ["input"],
    "output": ["probabilities"],
    "patch": [7],
    "percentile": ["1,99"],
    "position": [],
    "preprocess": [True],
    "range": ["0,1", "0,2"],
    "reduce": ["mean", "max", "l2"],
    "region": ["0,0,2,2", "1,0,3,2"],
    "samples": [3],
    "scale": [2],
    "score": ["log_probability", "probability"],
    "seed": [1],
    "statistics": [True],
    "steps": [3],
    "stride": [2],
    "target": ["1", "7"],
    "top": [1],
    "values": [False],
    "x": [1],
    "y": [1],
    "z": [],
}


@contextmanager
def served(engine: LocalEngine, **settings: Any) -> Iterator[TestClient]:
    engine.load_all()
    with TestClient(create_app(Settings(models=None, **settings), engine)) as http:
        yield http
    engine.close()


@pytest.fixture(scope="module")
def digits() -> Iterator[TestClient]:
    with served(LocalEngine(demo.MODELS)) as http:
        yield http


def options_of(http: TestClient, resource: str) -> list[str]:
    """The documented options of a resource."""
    paths = http.get("/openapi.json").json()["paths"]
    method, _, suffix = resource.removeprefix("attributions/").partition(".")
    if resource.startswith("attributions/"):
        rows = {row["name"]: row for row in http.get("/v1/attributions").json()["methods"]}
        generic = f"attributions/{{method}}{'.png' if suffix else ''}"
        others = {option["name"] for row in rows.values() for option in row["options"]}
        own = {option["name"] for option in rows[method]["options"]}
    else:
        generic, others, own = resource, set(), set()
    parameters = paths[f"/v1/models/{{model}}/{generic}"]["get"]["parameters"]
    documented = {each["name"] for each in parameters if each["in"] == "query"} - {"image"}
    answer_options = {"input"} if suffix else set()
    return sorted((documented - others) | own | (answer_options & documented))


@pytest.mark.parametrize("resource", USUAL)
def test_answers_that_differ_have_different_tags(digits: TestClient, resource: str) -> None:
    image = digits.post("/v1/images", content=SEVEN, headers=PNG).json()["id"]
    usual = {"image": image, **USUAL[resource]}
    changed = [{**usual, name: value} for name in options_of(digits, resource) for value in OTHERS[name]]
    bodies: dict[str, bytes] = {}
    for options in [usual, *changed]:
        answer = digits.get(f"/v1/models/digits@1/{resource}", params=options)
        assert answer.status_code == 200, (options, answer.text)
        tag = answer.headers["etag"]
        assert bodies.setdefault(tag, answer.content) == answer.content, options
    assert len(set(bodies.values())) > len(bodies) / 2


@pytest.mark.parametrize("setting", ["exact", "graph_rewrites"])
def test_what_a_setting_may_change_has_another_tag(digits: TestClient, setting: str) -> None:
    """A client may keep an answer longer than the service runs, and ask the next one whether it is still valid."""
    with served(LocalEngine(demo.MODELS, **{setting: False}), **{setting: False}) as http:
        tags = []
        for each in (digits, http):
            image = each.post("/v1/images", content=SEVEN, headers=PNG).json()["id"]
            answer = each.get("/v1/models/digits/predictions", params={"image": image})
            tags.append(answer.headers["etag"])
    assert len(set(tags)) == 2


class Moving(LocalEngine):
    """An engine that changes its models before it prepares a query."""

    before: Callable[[], object] = staticmethod(lambda: None)

    @contextmanager
    def prepare(self, query: Query) -> Iterator[LocalPreparedQuery]:
        self.before()
        with super().prepare(query) as prepared:
            yield prepared


@pytest.mark.parametrize("resource", ["predictions", "overlay.png", "attributions/gradcam.png"])
def test_the_answer_is_of_one_version_and_so_is_its_tag(tmp_path: Path, resource: str) -> None:
    """Between the look at the tag and the run, a newer version of another size takes over the plain name."""
    shutil.copytree(demo.MODELS / "digits" / "1", tmp_path / "digits" / "1")
    start = keras.Input((8, 8, 1))
    pool = layers.GlobalAveragePooling2D()(layers.Conv2D(2, 3, name="conv1")(start))
    (tmp_path / "digits" / "2").mkdir()
    keras.Model(start, layers.Dense(2)(pool)).save(tmp_path / "digits" / "2" / "model.keras")
    options = {"predictions": {}, "overlay.png": {"layer": "conv1", "on": "input"}}
    engine = Moving(tmp_path, control=Control(mode="explicit", start=("digits@1",)))
    with served(engine) as http:
        image = http.post("/v1/images", content=SEVEN, headers=PNG).json()["id"]

        def answer() -> Response:
            params = {"image": image, **options.get(resource, {"on": "input"})}
            return http.get(f"/v1/models/digits/{resource}", params=params)

        first = answer()
        engine.before = lambda: engine.models.load("digits@2")
        during, after = answer(), answer()

    assert [each.headers["x-model"] for each in (first, during, after)] == [
        "digits@1",
        "digits@2",
        "digits@2",
    ]
    assert first.content != during.content == after.content
    assert first.headers["etag"] != during.headers["etag"] == after.headers["etag"]
