"""Pictures that can be compared, one range over several images and layers; and atlases that say what lies where."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image
from requests_made import PNG, SEVEN
from starlette.testclient import TestClient

from layerscope.demo import samples
from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app

FEATURE_MAP = "/v1/models/digits/feature-map.png"
ATLAS = "/v1/models/digits/feature-map.json"


def test_a_shared_range_is_that_of_all_images(http: TestClient) -> None:
    files = [("image", SEVEN), ("image", samples()["zero"].read_bytes())]
    look = {"layer": "conv1", "channels": "0,1"}

    def drawn(files: list[tuple[str, bytes]], **options: str) -> tuple[np.ndarray, float]:
        answer = http.post(FEATURE_MAP, files=files, data={**look, **options})
        assert answer.status_code == 200, answer.text
        pixels = np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB"))
        return pixels, float(answer.headers["X-Value-Max"])

    shared, most = drawn(files, range="shared")
    layer, _ = drawn(files, normalize="layer")

    assert most == pytest.approx(max(drawn([each], range="shared")[1] for each in files))
    np.testing.assert_array_equal(shared, layer)


def test_a_range_of_another_word_says_what_there_is(http: TestClient, seven: str) -> None:
    answer = http.get(FEATURE_MAP, params={"image": seven, "layer": "conv1", "range": "all"})

    assert answer.status_code == 422
    assert answer.json()["details"]["option"] == "range"


def drawn(http: TestClient, **options: object) -> np.ndarray:
    answer = http.get(FEATURE_MAP, params=options)
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB"))


def told(http: TestClient, model: str = "digits", **options: object) -> dict[str, Any]:
    answer = http.get(f"/v1/models/{model}/feature-map.json", params=options)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def test_a_range_is_shared_by_all_layers_of_a_request(http: TestClient, seven: str) -> None:
    look = {"image": seven, "layer": "conv1,conv2", "centered": "false"}
    values = http.get("/v1/models/digits/activations", params={"image": seven, "layers": "conv1,conv2"})
    most = max(np.max(row["values"]) for row in values.json()["layers"])

    shared = told(http, **look, range="shared")
    own = told(http, **look, normalize="layer")

    assert [each["address"] for each in shared["layers"]] == ["conv1", "conv2"]
    tiles = [tile for each in shared["layers"] for tile in each["tiles"]]
    (value_max,) = {tile["value_max"] for tile in tiles}
    assert value_max == pytest.approx(most)
    assert len({tile["value_max"] for each in own["layers"] for tile in each["tiles"]}) == 2
    picture = http.get(FEATURE_MAP, params={**look, "range": "shared"})
    assert float(picture.headers["X-Value-Max"]) == pytest.approx(most)
    assert "X-Layer" not in picture.headers
    text = Image.open(io.BytesIO(picture.content)).text  # type: ignore[attr-defined]
    assert text["layer"] == "conv1,conv2"


def test_a_sprite_sheet_holds_what_the_picture_of_each_channel_shows(http: TestClient, seven: str) -> None:
    look = {"image": seven, "layer": "conv*", "colormap": "gray"}
    atlas = told(http, **look, columns=64, gap=0)

    sheet = drawn(http, **look, columns=64, gap=0)

    assert sheet.shape == (atlas["height"], atlas["width"], 3)
    for layer in atlas["layers"]:
        assert [tile["channel"] for tile in layer["tiles"]] == list(range(layer["shape"][-1]))
        for tile in layer["tiles"]:
            alone = drawn(http, **{**look, "layer": layer["address"]}, channel=tile["channel"])
            box = sheet[tile["y"] : tile["y"] + tile["height"], tile["x"] : tile["x"] + tile["width"]]
            # The ground beside the narrower layers takes one level of 256.
            assert np.abs(box.astype(int) - alone).max() <= 2


def test_an_atlas_tells_images_and_the_channels_that_were_chosen_for_each(http: TestClient) -> None:
    files = [("image", SEVEN), ("image", samples()["zero"].read_bytes())]
    values = {"layers": "conv2", "channels": "top:3"}
    chosen = http.post("/v1/models/digits/activations", files=files, data=values).json()["layers"][0]

    answer = http.post(ATLAS, files=files, data={"layer": "conv2", "channels": "top:3"})

    (layer,) = answer.json()["layers"]
    assert [tile["image"] for tile in layer["tiles"]] == [0, 0, 0, 1, 1, 1]
    assert [tile["channel"] for tile in layer["tiles"]] == list(np.ravel(chosen["channels"]))


def test_what_has_no_channels_to_tell_apart_is_one_tile(http: TestClient, seven: str) -> None:
    (layer,) = told(http, image=seven, layer="dense")["layers"]

    (tile,) = layer["tiles"]
    assert (tile["channel"], tile["slice"]) == (None, None)
    assert (tile["x"], tile["y"], tile["height"]) == (0, 0, 1)


def test_an_atlas_of_what_is_cached_runs_nothing_and_is_kept_by_who_has_it(
    http: TestClient, seven: str
) -> None:
    look = {"image": seven, "layer": "conv1"}
    drawn(http, **look)

    answer = http.get(ATLAS, params=look)

    assert "cache;desc=hit" in answer.headers["server-timing"]
    again = http.get(ATLAS, params=look, headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304


def test_an_atlas_of_too_many_tiles_is_refused_before_it_runs() -> None:
    settings = Settings(models=None, limits={"json_elements": 100})
    with TestClient(create_app(settings)) as http:
        answer = http.post(ATLAS, content=SEVEN, headers=PNG, params={"layer": "conv*"})

    assert answer.status_code == 413
    assert answer.json()["code"] == "answer_too_large"
    assert answer.json()["details"]["limit"] == 100


def test_labels_number_the_channels_of_every_image(http: TestClient, seven: str) -> None:
    look = {"layer": "conv1", "labels": "true", "channels": "0-7", "columns": "8"}
    of_one = drawn(http, image=seven, **look)

    of_two = drawn(http, image=[seven, seven], **look, gap=0)

    labels = of_one.shape[0] - 26
    np.testing.assert_array_equal(of_two[: of_two.shape[0] // 2], of_two[of_two.shape[0] // 2 :])
    assert (of_two[:labels] < 64).all(axis=2).any()
