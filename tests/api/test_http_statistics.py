"""Statistics of layers and channels, and the picture of the whole network."""

import io
import json
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image
from requests_made import PNG, SEVEN
from starlette.testclient import TestClient

from layerscope.limits import Limits
from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app

STATISTICS = "/v1/models/{}/statistics"
RED, ORANGE, MAGENTA = (214, 39, 40), (255, 152, 0), (255, 0, 255)


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A layer with a dead channel, a saturated one and two that are well; and one that divides by zero."""
    directory = tmp_path_factory.mktemp("models")
    folder = directory / "damaged" / "1"
    folder.mkdir(parents=True)
    picture = keras.Input((8, 8, 1), name="picture")
    conv = layers.Conv2D(4, 1, activation="relu", name="conv")
    flat = layers.Rescaling(0.0, name="zeros")(conv(picture))
    model = keras.Model(picture, keras.ops.divide(flat, flat))
    conv.set_weights([np.array([[[[1, 2, -1, 0.01]]]], np.float32), np.array([0, 0, -1, 1.99], np.float32)])
    model.save(folder / "model.keras")
    declaration = {"preprocessing": {"preset": "unit"}}
    (folder / "layerscope.json").write_text(json.dumps(declaration), "utf-8")
    with TestClient(create_app(Settings(models=directory))) as http:
        yield http


def ramp() -> bytes:
    """Pixels 0 to 252 in steps of 4."""
    file = io.BytesIO()
    Image.fromarray((np.arange(64, dtype=np.uint8) * 4).reshape(8, 8)).save(file, "PNG")
    return file.getvalue()


def statistics(http: TestClient, model: str, image: bytes, **options: object) -> dict[str, Any]:
    answer = http.post(STATISTICS.format(model), content=image, headers=PNG, params=options)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_dead_and_saturated_channels_are_named(damaged: TestClient) -> None:
    (conv,) = statistics(damaged, "damaged", ramp(), layers="conv")["layers"]

    assert (conv["dead"], conv["saturated"]) == ([2], [3])
    assert conv["channels"]["fraction_zero"] == [1 / 64, 1 / 64, 1, 0]
    assert conv["channels"]["max"] == pytest.approx([252 / 255, 2 * 252 / 255, 0, 1.99 + 2.52 / 255])


def test_what_is_not_finite_is_counted_apart(damaged: TestClient) -> None:
    *_, zeros, quotient = statistics(damaged, "damaged", ramp())["layers"]

    assert (zeros["dead"], zeros["fraction_zero"]) == ([0, 1, 2, 3], 1)
    assert (quotient["nonfinite"], quotient["mean"], quotient["dead"]) == (256, None, [])
    assert sum(quotient["histogram"]["counts"]) == 0


def test_histograms_count_what_numpy_counts(http: TestClient) -> None:
    found = statistics(http, "digits", SEVEN, layers="conv1", bins=7, histograms="channel")["layers"][0]
    params = {"layers": "conv1", "format": "npy"}
    answer = http.post("/v1/models/digits/activations", content=SEVEN, headers=PNG, params=params)
    values = np.load(io.BytesIO(answer.content)).astype(np.float64)

    counts, edges = np.histogram(values, bins=7)
    assert found["histogram"]["counts"] == counts.tolist()
    np.testing.assert_allclose(found["histogram"]["edges"], edges, atol=1e-12)
    by_channel = [np.histogram(values[..., each], bins=edges)[0].tolist() for each in range(values.shape[-1])]
    assert found["channels"]["histogram"] == by_channel


def test_a_channel_is_dead_only_if_no_image_wakes_it(damaged: TestClient) -> None:
    black = io.BytesIO()
    Image.new("L", (8, 8)).save(black, "PNG")
    parameters = {"layers": "conv"}

    alone = statistics(damaged, "damaged", black.getvalue(), **parameters)
    files = [("image", black.getvalue()), ("image", ramp())]
    both = damaged.post(STATISTICS.format("damaged"), files=files, params=parameters).json()

    assert alone["layers"][0]["dead"] == [0, 1, 2]
    assert both["layers"][0]["dead"] == [2]
    assert len(both["images"]) == 2


def test_every_layer_of_the_demo_model_by_default(http: TestClient, seven: str) -> None:
    rows = http.get("/v1/models/digits/layers").json()["layers"]

    answer = http.get(STATISTICS.format("digits"), params={"image": seven, "histograms": "none"})

    found = answer.json()["layers"]
    assert [each["address"] for each in found] == [row["address"] for row in rows]
    assert all("histogram" not in each for each in found)
    again = http.get(
        STATISTICS.format("digits"),
        params={"image": seven, "histograms": "none"},
        headers={"If-None-Match": answer.headers["etag"]},
    )
    assert again.status_code == 304


def test_more_figures_than_json_may_have_are_refused() -> None:
    limits = Limits(json_elements=1_000)
    with TestClient(create_app(Settings(models=None, limits=limits))) as http:
        send = {"content": SEVEN, "headers": PNG}
        params = {"histograms": "channel"}

        refused = http.post(STATISTICS.format("digits"), params=params, **send)
        small = http.post(STATISTICS.format("digits"), params={"layers": "conv1"}, **send)

    assert refused.status_code == 413
    assert refused.json()["details"]["limit"] == 1_000
    assert small.status_code == 200


def test_a_picture_that_is_too_large_says_the_one_way_to_a_smaller_one() -> None:
    settings = Settings(models=None, limits=Limits(picture_pixels=1_000))
    with TestClient(create_app(settings)) as http:
        answer = http.post(f"{STATISTICS.format('digits')}.png", content=SEVEN, headers=PNG)

    assert (answer.status_code, answer.json()["details"]["ways"]) == (413, ["select fewer layers (layers=)"])
    assert answer.json()["error"].endswith("more than 1,000: select fewer layers (layers=).")


@pytest.mark.parametrize(
    "options", [{"bins": 0}, {"bins": 1025}, {"histograms": "all"}, {"layers": "nothing*"}]
)
def test_bad_options_say_why(http: TestClient, options: dict[str, object]) -> None:
    answer = http.post(STATISTICS.format("digits"), content=SEVEN, headers=PNG, params=options)

    assert answer.status_code in {404, 422}
    assert answer.json()["error"]


def test_the_picture_marks_what_is_wrong_in_its_colours(damaged: TestClient, http: TestClient) -> None:
    def colours(service: TestClient, model: str, image: bytes) -> set[tuple[int, ...]]:
        answer = service.post(STATISTICS.format(model) + ".png", content=image, headers=PNG)
        assert answer.status_code == 200, answer.text
        pixels = np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB"))
        return {tuple(colour) for colour in pixels.reshape(-1, 3).tolist()}

    assert {RED, ORANGE, MAGENTA} <= colours(damaged, "damaged", ramp())
    assert MAGENTA not in colours(http, "digits", SEVEN)


def test_the_picture_is_the_same_each_time_in_either_format(http: TestClient, seven: str) -> None:
    url, params = STATISTICS.format("digits") + ".png", {"image": seven}

    first, second = (http.get(url, params=params) for _ in range(2))
    webp = http.get(url, params=params, headers={"Accept": "image/webp"})

    assert first.content == second.content
    assert webp.headers["content-type"] == "image/webp"
    pixels = [np.asarray(Image.open(io.BytesIO(each.content)).convert("RGB")) for each in (first, webp)]
    np.testing.assert_array_equal(*pixels)
