"""The client covers the OpenAPI contract: every operation, and every option of it."""

import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

import numpy as np
import pytest
from starlette.testclient import TestClient

from layerscope.demo import samples
from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app
from layerscope_client import Client, Job, _comparisons, _job_calls, _options
from layerscope_client.errors import ControlRefused, JobNotFound

if TYPE_CHECKING:
    import httpx2

PATHS: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "openapi" / "openapi.json").read_text("utf-8")
)["paths"]

ELSEWHERE = re.compile(r"/v2(/.*)?|/metrics")
"""Operations without a call: the Open Inference Protocol and Prometheus have other clients."""

MODEL = "/v1/models/{model}"
SEVEN = samples()["seven"]
NOWHERE: Any = {"id": "0" * 32, "state": "done", "format": "npz", "progress": {"parts_total": 1}}
"""What a service says of a job that it then forgets."""


@pytest.fixture
def recorded() -> Iterator[tuple[Client, list[tuple[str, str]]]]:
    requests: list[tuple[str, str]] = []

    def note(request: "httpx2.Request") -> None:
        requests.append((request.method, request.url.path))

    with TestClient(create_app(Settings(models=None))) as http:
        http.event_hooks["request"].append(note)
        yield Client(http=http), requests


def every_call(scope: Client) -> None:
    stored = scope.upload(SEVEN)
    scope.upload(stored.id)
    scope.thumbnail(stored)
    for call in (scope.models, scope.limits, scope.colormaps, scope.attribution_methods, scope.version):
        call()
    digits = scope.model("digits")
    for about in (digits.describe, digits.layers, digits.graph):
        about()
    digits.receptive_field("conv1")
    for image in (SEVEN, np.zeros((1, 28, 28, 1), np.float32)):
        digits.activations(image, "conv1")
        digits.plan(image, "conv1")
        digits.predictions(image)
        digits.statistics(image)
        digits.statistics_picture(image)
        digits.inspect(image)
        digits.feature_map(image, "conv1")
        digits.atlas(image, "conv1")
        digits.overlay(image, "conv1")
        digits.attribution(image)
        digits.attribution_picture(image)
        digits.ablations(image, "conv1", screen=1)
        digits.ablations_picture(image, layers="conv1")
        digits.edited("conv1;set=0").interventions(image)
    scope.compare("digits", "digits@1", SEVEN, edit="conv2;set=0")
    scope.comparison_picture("digits", "digits@1", SEVEN)
    for pair in ([SEVEN, samples()["three"]], np.zeros((2, 28, 28, 1), np.float32)):
        digits.compare(pair)
        digits.comparison_picture(pair)
    scope.forget(stored)
    assert scope.jobs() == []
    job = Job(NOWHERE, scope._transport)
    for call in (job.refresh, job.stop, job.wait, job.failed, job.dataframe):
        with pytest.raises(JobNotFound):
            call()
    sets = scope.datasets
    for order in (
        lambda: sets.create("val", "photos:"),
        sets.list,
        *(partial(about, "val") for about in (sets.get, sets.rows, sets.delete)),
        *(partial(about, "val", 0) for about in (sets.row, sets.thumbnail)),
        digits.load,
        digits.unload,
        digits.remove,
        lambda: digits.set_label("stable"),
        lambda: digits.remove_label("stable"),
        lambda: scope.add_model(SEVEN, "seven"),
        lambda: scope.extract("digits", "conv1", data="photos:", to="features:"),
    ):
        with pytest.raises(ControlRefused):
            order()


def test_every_operation_has_a_call(recorded: tuple[Client, list[tuple[str, str]]]) -> None:
    scope, requests = recorded
    every_call(scope)

    missing = [
        (method, path)
        for path, operations in PATHS.items()
        for method in operations
        if not ELSEWHERE.fullmatch(path)
        and not any(
            each == method.upper() and re.fullmatch(_pattern(path), address) for each, address in requests
        )
    ]
    assert missing == []


def _pattern(path: str) -> str:
    return re.sub(r"\\{\w+\\}", "[^/.]+", re.escape(path))


@pytest.mark.parametrize(
    ("kind", "path", "arguments"),
    [
        ("TensorOptions", f"{MODEL}/activations", {"layers", "values", "format"}),
        ("PictureOptions", f"{MODEL}/feature-map.png", {"layer", "channel", "channels"}),
        ("OverlayOptions", f"{MODEL}/overlay.png", {"layer", "channel"}),
        ("InspectOptions", f"{MODEL}/inspect", {"layers", "top"}),
        ("AttributionOptions", f"{MODEL}/attributions/{{method}}", {"values", "format"}),
        ("AblationOptions", f"{MODEL}/ablations", {"layer", "layers", "format"}),
        ("AblationPictureOptions", f"{MODEL}/ablations.png", {"layer", "layers"}),
        ("InterventionOptions", f"{MODEL}/interventions", {"layers"}),
        ("ComparisonOptions", "/v1/compare", {"reference", "candidate"}),
        ("AttributionPictureOptions", f"{MODEL}/attributions/{{method}}.png", set()),
    ],
)
def test_every_option_can_be_given(kind: str, path: str, arguments: set[str]) -> None:
    """Images are arguments of every call; whether pixels are preprocessed follows from the array's type."""
    (operation,) = [
        each for method, each in PATHS[path].items() if method == "get" or "get" not in PATHS[path]
    ]
    offered = {each["name"] for each in operation["parameters"] if each["in"] == "query"}
    taken = set(get_type_hints(getattr(_comparisons if kind.startswith("Comp") else _options, kind)))
    # A model has its edits and its seed; where a method draws random numbers, the call may give a seed, too.
    assert taken - {"edit", "seed"} == offered - arguments - {"edit", "seed", "image", "preprocess"}


def test_every_option_of_a_job_can_be_given() -> None:
    schema = PATHS["/v1/jobs"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    taken = get_type_hints(_job_calls.ExtractOptions)
    assert {*taken, "model", "layers", "data", "to"} == set(schema["properties"])
