"""Maps of models whose inputs are no images, over HTTP: axes that are named, curves, slices and bars, and refusals."""

import io
import json
import shutil
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image
from requests_made import NPY
from starlette.testclient import TestClient

from layerscope.render import lookup_table
from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app
from models_of_axes import CASES, write_cases

FEATURES = ["age", "fare", "größe", "a name of more letters than are drawn", "sex", "class"]

Pixels = np.ndarray[Any, np.dtype[Any]]


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    directory = tmp_path_factory.mktemp("models")
    write_cases(directory, "series", "volume", "vector", "words", "film")
    shutil.copytree(directory / "vector", directory / "table")
    declaration = {"features": {"features": FEATURES}}
    (directory / "table" / "1" / "layerscope.json").write_text(json.dumps(declaration), "utf-8")
    with TestClient(create_app(Settings(models=directory)), base_url="http://127.0.0.1") as served:
        yield served


def asked(http: TestClient, name: str, resource: str) -> Any:
    return posted(http, name, f"attributions/{resource}")


def posted(http: TestClient, name: str, resource: str) -> Any:
    values = CASES["vector" if name == "table" else name].values[0]
    return http.post(f"/v1/models/{name}/{resource}", content=npy(values), headers=NPY)


def npy(values: np.ndarray[Any, Any]) -> bytes:
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


def drawn(http: TestClient, name: str, resource: str) -> Pixels:
    return pixels_of(asked(http, name, resource))


def pixels_of(answer: Any) -> Pixels:
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB"))


def colours_of(pixels: Pixels) -> set[tuple[int, ...]]:
    return set(map(tuple, pixels.reshape(-1, 3).tolist()))


@pytest.mark.parametrize(
    ("name", "axes", "shape"),
    [
        ("series", ["batch", "time"], [1, 24]),
        ("volume", ["batch", "depth", "height", "width"], [1, 6, 7, 8]),
        ("vector", ["batch", "channels"], [1, 6]),
    ],
)
def test_a_map_names_its_axes(http: TestClient, name: str, axes: list[str], shape: list[int]) -> None:
    row = asked(http, name, "saliency").json()["layers"][0]
    assert (row["axes"], row["shape"]) == (axes, shape)


def test_a_series_is_a_curve_a_channel_with_the_map_below(http: TestClient) -> None:
    pixels = drawn(http, "series", "saliency.png")
    heat = np.asarray(asked(http, "series", "saliency").json()["layers"][0]["values"])[0]
    assert pixels.shape[1] == 400
    viridis = lookup_table("viridis", 254)
    # The strongest step has the last colour in the map's panel, and nothing else but what is interpolated to it.
    strongest = [column for column in range(400) if tuple(viridis[-1]) in colours_of(pixels[:, column])]
    step = (np.mean(strongest) - 60) * 24 / 332 - 0.5
    assert abs(step - heat.argmax()) < 0.5
    assert drawn(http, "series", "saliency.png?scale=2").shape[1] == 732


def test_a_volume_is_its_slices_and_those_that_are_chosen(http: TestClient) -> None:
    every = drawn(http, "volume", "occlusion.png?slice=all")
    np.testing.assert_array_equal(every, drawn(http, "volume", "occlusion.png"))
    single = drawn(http, "volume", "occlusion.png?slice=4")
    height, width = single.shape[:2]
    assert (height, width) == (7 * 9 + 13, 8 * 9)
    # The fifth of six slices is the second of the second row.
    np.testing.assert_array_equal(every[height + 4 :, width + 4 :][13:height, :width], single[13:])


@pytest.mark.parametrize("wanted", ["6", "0-6", "0-5,2", "4-3", "0,0", "2,1-3"])
def test_slices_that_are_not_there_are_refused(http: TestClient, wanted: str) -> None:
    answer = asked(http, "volume", f"saliency.png?slice={wanted}")
    assert (answer.status_code, answer.json()["details"]["option"]) == (422, "slice")


def test_a_vector_is_a_bar_a_feature(http: TestClient) -> None:
    pixels = drawn(http, "vector", "occlusion.png?colormap=gray&centered=false")
    answer = asked(http, "vector", "occlusion").json()
    heat = np.asarray(answer["layers"][0]["values"])[0]
    assert answer["attribution"]["signed"]
    assert len(pixels) == 18 + 6 * 15
    assert (heat < 0).any()
    assert (heat > 0).any()


def test_features_with_names_are_named_in_the_answer_and_in_the_picture(http: TestClient) -> None:
    assert http.get("/v1/models/table").json()["inputs"][0]["features"] == FEATURES
    assert http.get("/v1/models/vector").json()["inputs"][0]["features"] is None
    answer = asked(http, "table", "saliency").json()
    assert answer["attribution"]["features"] == FEATURES
    assert asked(http, "vector", "saliency").json()["attribution"]["features"] is None
    named, numbered = drawn(http, "table", "saliency.png"), drawn(http, "vector", "saliency.png")
    assert named.shape[0] == numbered.shape[0]
    # The columns for names are as wide as the longest name that is drawn, and all else is the same.
    wider = named.shape[1] - numbered.shape[1]
    assert wider > 100
    np.testing.assert_array_equal(named[18:, 60 + wider :], numbered[18:, 60:])


def test_a_text_is_a_bar_a_token(http: TestClient) -> None:
    assert len(drawn(http, "words", "gradcam.png")) == 18 + 6 * 15
    assert asked(http, "words", "gradcam").json()["layers"][0]["axes"] == ["batch", "tokens"]


def test_a_layer_over_time_is_a_curve_a_channel(http: TestClient) -> None:
    values = np.asarray(
        posted(http, "series", "activations?layers=last&channels=0").json()["layers"][0]["values"]
    )
    row, steps = values[0, :, 0], values.shape[1]
    pixels = pixels_of(posted(http, "series", "feature-map.png?layer=last&curves=true&channel=0"))
    panel = pixels[6 : 6 + 84, 60 : 60 + 332]
    # In the middle of its step, the line is as high as the value.
    is_line = (panel == (32, 32, 36)).all(axis=-1)
    middles = ((np.arange(steps) + 0.5) * 332 / steps).astype(int)
    highest = np.array([is_line[:, column].argmax() for column in middles])
    expected = (row.max() - row) / (np.ptp(row) or 1) * 81
    assert np.abs(highest - expected).max() <= 4
    dead = pixels_of(
        posted(http, "series", "feature-map.png?layer=last&curves=true&channel=0&edit=last;set=0")
    )
    is_line = (dead[6 : 6 + 84, 60 : 60 + 332] == (32, 32, 36)).all(axis=-1)
    assert set(is_line.argmax(axis=0)) == {40}, "A line that never rises is in the middle."
    several = pixels_of(posted(http, "series", "feature-map.png?layer=input,last&curves=true&scale=2"))
    assert several.shape[1] == 60 + 2 * 332 + 8


@pytest.mark.parametrize(
    ("name", "resource", "reason"),
    [
        ("volume", "feature-map.png?layer=last&curves=true", "counts depth, height, width, channels"),
        ("vector", "feature-map.png?layer=hidden&curves=true", "counts channels"),
        ("series", "feature-map.json?layer=last&curves=true", "tells where tiles are"),
        ("series", "feature-map.png?layer=last&curves=true&slice=0", "have no slices"),
        ("series", "feature-map.png?layer=last&slice=0", "has no slices"),
        ("volume", "feature-map.png?layer=last&slice=99", "there is no slice 99"),
        ("volume", "feature-map.png?layer=last&slice=0,0", "slice names slice 0 twice"),
        ("volume", "feature-map.png?layer=last&slice=0-1,1", "slice names slice 1 twice"),
    ],
)
def test_what_has_no_curves_or_slices_is_refused(
    http: TestClient, name: str, resource: str, reason: str
) -> None:
    answer = posted(http, name, resource)
    assert answer.status_code == 422
    assert reason in answer.json()["error"]


def test_a_stored_tensor_is_an_image_for_every_link(http: TestClient) -> None:
    values = CASES["series"].values
    stored = http.post("/v1/images", content=npy(values[0]), headers=NPY)
    again = http.post("/v1/images", files={"image": npy(values[0])})
    assert (stored.status_code, again.status_code) == (201, 200)
    assert {**stored.json(), "format": "npy", "width": None}.items() <= {
        **again.json(),
        "expires": stored.json()["expires"],
    }.items()
    name = stored.json()["id"]
    given = {"image": name, "layer": "last", "curves": True}
    drawn = http.get("/v1/models/series/feature-map.png", params=given)
    assert drawn.content == posted(http, "series", "feature-map.png?layer=last&curves=true").content
    found = http.get("/v1/models/series/predictions", params={"image": name})
    assert found.json()["images"] == [name]
    assert found.json()["outputs"] == posted(http, "series", "predictions").json()["outputs"]
    assert http.get(f"/v1/images/{name}/thumbnail.png").json()["code"] == "no_picture"
    wrong = http.get("/v1/models/volume/predictions", params={"image": name})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "input_mismatch")
    damaged = http.post("/v1/images", content=npy(values[0])[:-1], headers=NPY)
    assert (damaged.status_code, damaged.json()["code"]) == (422, "tensor_unreadable")
    both = http.post("/v1/images", content=npy(values), headers=NPY).json()["id"]
    assert len(set(http.get("/v1/models/series/predictions", params={"image": both}).json()["images"])) == 2


def test_a_map_of_a_model_without_images_is_laid_over_none(http: TestClient) -> None:
    rows = {row["address"]: row for row in http.get("/v1/models/film/layers").json()["layers"]}
    assert "map" in rows["last"]["can"], "Its axes are height, width and channels."
    assert "overlay" not in rows["last"]["can"]
    refused = posted(http, "film", "overlay.png?layer=last").json()
    assert refused["code"] == "no_picture"
    assert rows["last"]["cannot"]["overlay"] == "No input of the model takes images."
