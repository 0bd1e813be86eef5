"""Caches and entity tags: an answer is never taken for another, by the service or by a client.

Every option of every resource is changed, one at a time. Resources and options are those of the contract: one that is new has to
be tried here.
"""

import hashlib
import io
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from answers_read import tensors
from httpx2 import Response
from keras import layers
from PIL import Image
from requests_made import PNG, SEVEN
from starlette.testclient import TestClient

from layerscope import demo
from layerscope.attribution import METHODS
from layerscope.execution.interface import Query
from layerscope.execution.local_engine import LocalEngine
from layerscope.execution.prepared_query import LocalPreparedQuery
from layerscope.limits import Limits
from layerscope.models.control import Control
from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app

THREE = demo.samples()["three"].read_bytes()
THREE_ID = f"sha256-{hashlib.sha256(THREE).hexdigest()}"
LAYER = {"layer": "conv2"}
USUAL: dict[str, dict[str, Any]] = {
    "activations": {"layers": "conv2"},
    "statistics": {"layers": "conv2"},
    "statistics.png": {"layers": "conv2"},
    "predictions": {},
    "feature-map.png": LAYER,
    "feature-map.json": LAYER,
    "overlay.png": LAYER,
    "ablations": {**LAYER, "by": "place", "grid": 2},
    "ablations.png": {**LAYER, "by": "place", "grid": 2},
    "interventions": {"edit": ["conv1;scale=2"]},
    "compare": {"layers": "conv2"},
    "compare.png": {"layers": "conv2"},
    **{f"attributions/{name}": LAYER if method.kind == "layer" else {} for name, method in METHODS.items()},
    "attributions/occlusion": {"patch": 14},
    "attributions/occlusion.png": {"patch": 14},
    "attributions/scorecam": {**LAYER, "top": 2},
    "attributions/smoothgrad": {"samples": 2},
    "attributions/integrated-gradients": {"steps": 2},
}
"""Resources with an entity tag, and options with which they are made soon."""

OTHER_RESOURCES = {"plan", "receptive-field"}
"""They compute no values, and are not kept."""

OTHERS: dict[str, list[Any]] = {
    "changed_by": [0.5],
    "edit": [
        *(
            ["conv1;scale=2"],
            ["conv1;scale=3"],
            ["conv1;channels=0;scale=3"],
            ["conv1;region=0,0,2,2;scale=3"],
        ),
        *(["conv1;set=mean"], [f"conv1;patch={THREE_ID}"], ["conv1;scale=2", "conv2@preactivation;add=1"]),
    ],
    "alpha": [0.25],
    "baseline": ["white", "mean", "zero"],
    "bins": [8],
    "centered": ["true", "false"],
    "change": [True],
    "channel": [1],
    "channels": ["1", "0,1", "top:2"],
    "colorbar": [True],
    "colormap": ["magma", "gray"],
    "columns": [3],
    "curves": [],
    "dtype": ["float16", "uint8"],
    "features": ["mean"],
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
    "positions": [],
    "preprocess": [True],
    "range": ["0,1", "0,2"],
    "reduce": ["mean", "max", "l2"],
    "region": ["0,0,2,2", "1,0,3,2"],
    "samples": [3],
    "scale": [2],
    "score": ["log_probability", "probability"],
    "seed": [1],
    "slice": [],
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

SWEPT: dict[str, list[Any]] = {
    "by": ["channel"],
    "grid": [3],
    "layers": [],
    "metric": ["output", "distance"],
    "patch": [THREE_ID],
    "screen": [2],
    "set": ["mean", 0.5],
}
"""Those of sweeps, where they have other names or meanings than elsewhere."""


NEEDED: dict[str, dict[str, Any]] = {"change": {"edit": ["conv1;scale=2"]}}
"""What an option needs beside it."""

NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")


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


@pytest.fixture(scope="module")
def fresh() -> Iterator[TestClient]:
    """A service that keeps nothing that it computed."""
    with served(LocalEngine(demo.MODELS, Limits(activation_cache_bytes=1))) as http:
        yield http


def test_every_resource_is_tried(digits: TestClient) -> None:
    paths = digits.get("/openapi.json").json()["paths"]
    resources = {
        path.removeprefix("/v1/models/{model}/")
        for path, operations in paths.items()
        if "image" in {each["name"] for each in operations.get("get", {}).get("parameters", [])}
    }
    tried = {re.sub(r"(?<=attributions/)[^.]+", "{method}", name) for name in USUAL}
    assert tried | OTHER_RESOURCES == resources


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


def are_same(found: Response, expected: Response) -> bool:
    """Whether two answers are the same but for rounding: an image does not always have the same last bits."""
    media_type = found.headers["content-type"]
    if found.content == expected.content or media_type != expected.headers["content-type"]:
        return found.content == expected.content
    if media_type == "application/json":
        documents = [
            (NUMBER.sub("", each.text), [*map(float, NUMBER.findall(each.text))])
            for each in (found, expected)
        ]
        return documents[0][0] == documents[1][0] and np.allclose(
            documents[0][1], documents[1][1], 1e-3, 1e-5
        )
    if media_type.startswith("image/"):
        pictures = [
            np.asarray(Image.open(io.BytesIO(each.content)).convert("RGB"), int) for each in (found, expected)
        ]
        return pictures[0].shape == pictures[1].shape and bool(np.abs(pictures[0] - pictures[1]).max() <= 2)
    return all(
        np.allclose(*pair, 1e-3, 1e-5)
        for pair in zip(tensors(found).values(), tensors(expected).values(), strict=True)
    )


@pytest.mark.parametrize("resource", USUAL)
def test_answers_that_differ_are_told_apart(digits: TestClient, fresh: TestClient, resource: str) -> None:
    """What was kept is never given for another answer, and answers that differ have different tags."""
    for http in (digits, fresh):
        images = [http.post("/v1/images", content=each, headers=PNG).json()["id"] for each in (SEVEN, THREE)]
    usual = {"image": images if resource.startswith("compare") else images[:1], **USUAL[resource]}
    others = {**OTHERS, **(SWEPT if resource.startswith("ablations") else {})}
    changed = [
        {**usual, **NEEDED.get(name, {}), name: value}
        for name in options_of(digits, resource)
        for value in others[name]
    ]
    bodies: dict[str, bytes] = {}
    for options in [usual, *changed]:
        answer, expected = (
            http.get(f"/v1/models/digits@1/{resource}", params=options) for http in (digits, fresh)
        )
        assert answer.status_code == 200, (options, answer.text)
        assert are_same(answer, expected), options
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
