"""What Prometheus scrapes: every figure by its name, and none that grows without bound."""

import io
import shutil
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import ValidationError
from requests_made import ACTIVATIONS, PNG, PREDICTIONS, SEVEN
from starlette.testclient import TestClient

from layerscope.demo import MODELS
from layerscope_api.context.settings import Settings
from layerscope_api.context.shared_state import SharedSamples
from layerscope_api.observability.metrics import Metrics
from layerscope_api.server.app import create_app

Figures = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture(scope="module")
def measured() -> Iterator[TestClient]:
    with TestClient(create_app(Settings(models=None))) as http:
        yield http


def scraped(http: TestClient) -> Figures:
    answer = http.get("/metrics")
    assert answer.status_code == 200
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def figure(figures: Figures, name: str, **labels: str) -> float:
    return figures.get((f"layerscope_{name}", tuple(sorted(labels.items()))), 0.0)


def test_an_answer_is_counted_once_in_each_figure(measured: TestClient) -> None:
    digits = {"model": "digits", "version": "1"}
    before = scraped(measured)
    answers = [
        measured.post(PREDICTIONS, content=SEVEN + end, headers=PNG)
        for end in (b"first", b"second", b"first")
    ]
    after = scraped(measured)

    def grown(name: str, **labels: str) -> float:
        return figure(after, name, **labels) - figure(before, name, **labels)

    assert {answer.status_code for answer in answers} == {200}
    assert grown("requests_total", **digits, code="200") == 3
    assert grown("inferences_total", **digits) == 3
    assert grown("executions_total", **digits) == 2
    assert (grown("cache_hits_total", **digits), grown("cache_misses_total", **digits)) == (1, 2)
    assert grown("request_seconds_count", **digits) == 3
    for stage in ("queue", "decode", "run", "encode"):
        assert grown("stage_seconds_count", **digits, stage=stage) == 3
    assert grown("response_bytes_total", **digits) == sum(len(answer.content) for answer in answers)
    assert grown("batch_rows_sum", **digits) == 2
    assert figure(after, "model_memory_bytes", **digits) > 0
    assert figure(after, "model_state", **digits, state="ready") == 1
    assert figure(after, "model_loads_total", **digits, outcome="ready") == 1
    assert figure(after, "pending_requests") == 0


def test_what_is_refused_is_counted_by_its_code(measured: TestClient) -> None:
    before = scraped(measured)
    measured.get("/v1/models/none")
    measured.post(ACTIVATIONS, params={"layers": "zzz"}, content=SEVEN, headers=PNG)
    measured.post(ACTIVATIONS, content=b"", headers={**PNG, "Content-Length": str(1 << 40)})
    after = scraped(measured)

    for reason in ("model_not_found", "layer_not_found", "body_too_large"):
        assert (
            figure(after, "rejected_total", reason=reason)
            == figure(before, "rejected_total", reason=reason) + 1
        )
    digits = {"model": "digits", "version": "1"}
    assert figure(after, "requests_total", **digits, code="422") > figure(
        before, "requests_total", **digits, code="422"
    )


def test_nobody_can_make_labels(measured: TestClient) -> None:
    measured.post(PREDICTIONS, content=SEVEN, headers=PNG)
    measured.get("/v1/models/none/predictions?image=x")
    known = len(scraped(measured))
    for number in range(5):
        measured.get(f"/v1/models/made-up-{number}/predictions?image=x")
        measured.get(f"/v2/models/made-up-{number}")
        measured.post(f"/v1/models/digits/activations?layers=made-up-{number}", content=SEVEN, headers=PNG)

    after = scraped(measured)
    assert "made-up" not in str(after)
    assert len(after) <= known + 3


@pytest.mark.parametrize(
    "accept", ["application/openmetrics-text;version=zzz;escaping=???", "text/plain", "*/*"]
)
def test_both_formats(measured: TestClient, accept: str) -> None:
    answer = measured.get("/metrics", headers={"Accept": accept})

    assert answer.status_code == 200
    is_openmetrics = accept.startswith("application/openmetrics-text")
    assert answer.headers["content-type"].startswith(
        "application/openmetrics-text" if is_openmetrics else "text/plain"
    )
    assert answer.text.endswith("# EOF\n") is is_openmetrics


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[TestClient]:
    """A model whose units die: the first is always dead, the second in the light, the third in the dark."""
    picture = keras.Input((4, 4, 1), name="picture")
    units = keras.layers.Conv2D(3, 1, activation="relu", name="units")
    model = keras.Model(picture, keras.layers.GlobalAveragePooling2D(name="mean")(units(picture)))
    units.set_weights([np.array([[[[1, -1, 1]]]]), np.array([-1e6, 0.5, -0.5])])
    model.save(tmp_path / "mortal.keras")
    settings = Settings(models=tmp_path, watch_layers=("mortal:units",), watch_images=2)
    with TestClient(create_app(settings)) as http:
        yield http


def test_gauges_of_a_watched_layer_move_when_units_die(mortal: TestClient) -> None:
    seen = []
    for light in (0.9, 0.1, 0.2, np.inf, 0.8):
        file = io.BytesIO()
        np.save(file, np.full((4, 4, 1), light, np.float32))
        answer = mortal.post(
            "/v1/models/mortal/activations?layers=picture",
            content=file.getvalue(),
            headers={"Content-Type": "application/x-npy"},
        )
        assert answer.status_code == 200
        figures = scraped(mortal)
        labels = {"model": "mortal", "version": "1", "layer": "units"}
        names = ("mean", "fraction_zero", "dead_channels", "nonfinite", "channels", "images")
        seen.append([figure(figures, f"layer_{name}", **labels) for name in names])

    assert seen == [
        [pytest.approx(0.4 / 3), pytest.approx(2 / 3), 2, 0, 3, 1],
        [pytest.approx(0.8 / 6), pytest.approx(2 / 3), 1, 0, 3, 2],
        [pytest.approx(0.7 / 6), pytest.approx(2 / 3), 2, 0, 3, 2],
        [pytest.approx(0.075), pytest.approx(0.75), 0, 32, 3, 2],
        [pytest.approx(0.075), pytest.approx(0.75), 1, 32, 3, 2],
    ]


def test_a_model_that_answered_has_hits_and_misses_if_only_none() -> None:
    with TestClient(create_app(Settings(models=None))) as http:
        http.post(PREDICTIONS, content=SEVEN, headers=PNG)
        names = {name for name, _ in scraped(http)}
    assert {"layerscope_cache_hits_total", "layerscope_cache_misses_total"} <= names


def test_only_the_configuration_makes_layers_labels() -> None:
    with TestClient(create_app(Settings(models=None, watch_layers=("digits:conv1",)))) as http:
        for layer in ("conv2", "outputs", "made-up"):
            http.post(ACTIVATIONS, params={"layers": layer}, content=SEVEN, headers=PNG)
        labels = {dict(labels).get("layer") for _, labels in scraped(http)}
    assert labels == {None, "conv1"}


@pytest.mark.parametrize("watched", ["conv1", ":conv1", "digits:"])
def test_what_names_no_layer_of_a_model_is_no_setting(watched: str) -> None:
    with pytest.raises(ValidationError, match="watch_layers"):
        Settings(watch_layers=(watched,))


def test_a_model_that_is_removed_takes_its_figures_with_it(tmp_path: Path) -> None:
    for name in ("leaving", "staying"):
        shutil.copytree(MODELS / "digits", tmp_path / name)
    with TestClient(create_app(Settings(models=tmp_path, control="explicit", load=("*",)))) as http:
        for name in ("leaving", "staying"):
            http.post(f"/v1/models/{name}/predictions", content=SEVEN, headers=PNG)
        assert {"leaving", "staying"} <= models_in(scraped(http))
        http.post("/v1/models/leaving/unload")
        assert {"leaving", "staying"} <= models_in(scraped(http))
        shutil.rmtree(tmp_path / "leaving")
        http.post("/v1/models/staying/load")

        assert models_in(scraped(http)) == {"", "staying"}
        assert {row["name"] for row in http.get("/v2/models/stats").json()["model_stats"]} == {"staying"}


def test_an_upload_counts_as_one_load_and_a_refused_one_as_none(tmp_path: Path) -> None:
    demo = (MODELS / "digits" / "1" / "model.keras").read_bytes()
    with TestClient(create_app(Settings(models=tmp_path, control="explicit", allow_upload=True))) as http:
        binary = {"Content-Type": "application/octet-stream"}
        for content, load in ((demo, "true"), (demo, "false"), (b"no model", "true")):
            http.post("/v1/models", content=content, params={"name": "sent", "load": load}, headers=binary)
        loads = {each: value for each, value in scraped(http).items() if "model_loads_total" in each[0]}

    labels = (("model", "sent"), ("outcome", "ready"), ("version", "1"))
    assert loads == {("layerscope_model_loads_total", labels): 1}


def models_in(figures: Figures) -> set[str]:
    return {dict(labels)["model"] for _, labels in figures if "model" in dict(labels)}


def test_a_worker_whose_folder_takes_no_files_still_tells_its_own_figures(tmp_path: Path) -> None:
    def told(samples: SharedSamples) -> set[str]:
        return {sample.labels["worker"] for family in samples.collect() for sample in family.samples}

    folder = tmp_path / "shared"
    first, second = (SharedSamples(Metrics(), folder, worker) for worker in (0, 1))
    first.write()
    second.write()
    assert told(first) == {"0", "1"}
    shutil.rmtree(folder)
    folder.touch()
    first.write()
    assert told(first) == {"0"}
    folder.unlink()
    second.write()
    assert told(first) == {"0", "1"}
