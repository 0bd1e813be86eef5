"""Overlays: the right map, over the right picture, in the right place, in true colours."""

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
from served_models import Gallery
from starlette.testclient import TestClient

from layerscope.render import lookup_table
from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app

OVERLAY = "/v1/models/{}/overlay.png"

Pixels = np.ndarray[Any, np.dtype[Any]]


@pytest.fixture(scope="module")
def bgr(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A model that takes blue first, as it is stored, cropped; one layer of which is the input's three channels."""
    directory = tmp_path_factory.mktemp("models")
    folder = directory / "colours" / "1"
    folder.mkdir(parents=True)
    model = keras.Sequential([keras.Input((16, 16, 3), name="picture"), layers.ReLU(name="same")])
    model.save(folder / "model.keras")
    declaration = {"preset": "caffe", "size": [16, 16], "resize": "crop", "filter": "nearest", "exif": False}
    (folder / "layerscope.json").write_text(json.dumps({"preprocessing": declaration}), "utf-8")
    with TestClient(create_app(Settings(models=directory))) as http:
        yield http


def picture(width: int = 16, height: int = 16, **options: Any) -> tuple[bytes, Pixels]:
    pixels = np.random.default_rng(4).integers(0, 256, (height, width, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", **options)
    return file.getvalue(), pixels


def laid(http: TestClient, model: str, image: bytes, **options: object) -> Pixels:
    answer = http.post(OVERLAY.format(model), content=image, headers=PNG, params=options)
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB"))


@pytest.mark.parametrize("on", ["original", "input"])
def test_pictures_of_a_bgr_model_have_their_true_colours(bgr: TestClient, on: str) -> None:
    image, pixels = picture()

    np.testing.assert_array_equal(
        laid(bgr, "colours", image, layer="same", channel=0, alpha=0, on=on), pixels
    )


def test_channel_0_of_a_bgr_model_is_blue(bgr: TestClient) -> None:
    image, pixels = picture()
    look = {"alpha": 1, "interpolation": "nearest", "colormap": "gray", "range": "0,152"}

    drawn = laid(bgr, "colours", image, layer="same", channel=0, **look)

    blue = np.maximum(pixels[..., 2] - np.float32(103.939), 0)
    expected = lookup_table("gray", 256)[np.minimum(blue / 152 * 256, 255).astype(int)]
    assert np.abs(drawn.astype(int) - expected).max() <= 1


def test_the_original_is_upright_and_whole_and_the_map_lies_where_the_model_looked(bgr: TestClient) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # shown after a quarter turn clockwise
    image, pixels = picture(20, 16, exif=exif)
    upright = np.rot90(pixels, -1)

    drawn = laid(bgr, "colours", image, layer="same", channel=0, alpha=1, range="500,501")

    assert drawn.shape == upright.shape == (20, 16, 3)
    np.testing.assert_array_equal(drawn[:2], upright[:2])
    np.testing.assert_array_equal(drawn[18:], upright[18:])
    assert (drawn[2:18] == lookup_table("viridis", 256)[0]).all()


def test_a_tensor_is_shown_as_the_picture_it_stands_for(bgr: TestClient) -> None:
    _, pixels = picture()
    tensor = pixels[..., ::-1] - np.array([103.939, 116.779, 123.68], np.float32)
    file = io.BytesIO()
    np.save(file, tensor.astype(np.float32))

    answer = bgr.post(
        OVERLAY.format("colours"),
        content=file.getvalue(),
        headers={"Content-Type": "application/x-npy"},
        params={"layer": "same", "alpha": 0},
    )

    drawn = np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB"))
    np.testing.assert_array_equal(drawn, pixels)


@pytest.mark.parametrize("size", [3e38, 1e-38])
def test_the_mean_magnitude_of_values_of_any_size_is_right(bgr: TestClient, size: float) -> None:
    file = io.BytesIO()
    np.save(file, np.full((16, 16, 3), size, np.float32))

    answer = bgr.post(
        OVERLAY.format("colours"),
        content=file.getvalue(),
        headers={"Content-Type": "application/x-npy"},
        params={"layer": "same"},
    )

    assert float(answer.headers["X-Value-Max"]) == pytest.approx(size, rel=1e-6)


def test_without_a_channel_the_mean_magnitude_of_all_is_drawn(http: TestClient, seven: str) -> None:
    values = http.get("/v1/models/digits/activations", params={"image": seven, "layers": "conv1"})
    magnitude = np.abs(np.array(values.json()["layers"][0]["values"])).mean(axis=-1)

    answer = http.get(OVERLAY.format("digits"), params={"image": seven, "layer": "conv1"})

    assert float(answer.headers["X-Value-Max"]) == pytest.approx(magnitude.max(), rel=1e-5)
    assert float(answer.headers["X-Value-Min"]) == pytest.approx(magnitude.min(), rel=1e-5, abs=1e-9)
    assert answer.headers["X-Layer"] == "conv1"
    text = Image.open(io.BytesIO(answer.content)).text  # type: ignore[attr-defined]
    assert (text["layer"], text["model"], text["alpha"]) == ("conv1", "digits@1", "0.5")


def test_a_get_is_cacheable_and_webp_comes_to_who_prefers_it(http: TestClient, seven: str) -> None:
    params = {"image": seven, "layer": "conv1", "channel": 3}
    url = OVERLAY.format("digits")

    png = http.get(url, params=params)
    webp = http.get(url, params=params, headers={"Accept": "image/webp"})
    browser = http.get(url, params=params, headers={"Accept": "image/webp,image/apng,image/*,*/*;q=0.8"})

    assert [each.headers["content-type"] for each in (png, webp, browser)] == [
        "image/png",
        "image/webp",
        "image/png",
    ]
    assert {each.headers["vary"] for each in (png, webp)} == {"Accept"}
    assert png.headers["etag"] != webp.headers["etag"]
    images = [np.asarray(Image.open(io.BytesIO(each.content)).convert("RGB")) for each in (png, webp)]
    np.testing.assert_array_equal(*images)
    again = http.get(url, params=params, headers={"If-None-Match": png.headers["etag"]})
    assert again.status_code == 304


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        ({"layer": "conv*"}, "option_invalid", "an overlay shows one"),
        ({"layer": "outputs"}, "no_picture", "Its axes are channels"),
        ({"layer": "conv1", "channel": 99}, "channel_not_found", "99"),
        ({"layer": "conv1", "alpha": 2}, "option_invalid", "alpha"),
        ({"layer": "conv1", "input": "other"}, "option_invalid", "no input 'other'"),
        ({"layer": "conv1", "on": "moon"}, "option_invalid", "on"),
    ],
)
def test_what_cannot_be_laid_over_says_why(
    http: TestClient, options: dict[str, object], code: str, words: str
) -> None:
    answer = http.post(OVERLAY.format("digits"), content=SEVEN, headers=PNG, params=options)

    assert answer.status_code in {404, 422}, answer.text
    assert answer.json()["code"] == code
    assert words in answer.json()["error"]


def test_one_picture_at_a_time(http: TestClient) -> None:
    files = [("image", SEVEN), ("image", SEVEN)]

    answer = http.post(OVERLAY.format("digits"), files=files, params={"layer": "conv1"})

    assert answer.status_code == 422
    assert answer.json()["details"]["images"] == 2


def test_of_several_inputs_one_is_chosen(gallery: Gallery) -> None:
    image, pixels = picture(8, 8)
    grey = io.BytesIO()
    Image.fromarray(pixels[..., 0]).save(grey, "PNG")
    files = {"left": grey.getvalue(), "right": image}

    def drawn(**options: object) -> Pixels:
        look = {"layer": "both", "alpha": 0, **options}
        answer = gallery.http.post(OVERLAY.format("pair"), files=files, data=look)
        assert answer.status_code == 200, answer.text
        return np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB"))

    np.testing.assert_array_equal(drawn(input="right"), pixels)
    np.testing.assert_array_equal(drawn()[..., 1], pixels[..., 0])


def test_an_input_that_takes_no_images_has_nothing_to_draw_over(gallery: Gallery) -> None:
    file = io.BytesIO()
    np.save(file, np.zeros((5, 3), np.float32))

    answer = gallery.http.post(
        OVERLAY.format("sequence"),
        content=file.getvalue(),
        headers={"Content-Type": "application/x-npy"},
        params={"layer": "lstm"},
    )

    assert answer.status_code == 422
    assert answer.json()["code"] == "no_picture"


@pytest.fixture(scope="module")
def siamese(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """One layer that is called for each of two pictures."""
    directory = tmp_path_factory.mktemp("models")
    folder = directory / "twins" / "1"
    folder.mkdir(parents=True)
    pictures = [keras.Input((16, 16, 3), name=name) for name in ("left", "right")]
    look = layers.Conv2D(2, 3, activation="relu", bias_initializer="ones", name="look")
    seen = [layers.GlobalAveragePooling2D()(look(each)) for each in pictures]
    keras.Model(pictures, layers.Dense(2, name="kind")(layers.Concatenate()(seen))).save(
        folder / "model.keras"
    )
    (folder / "layerscope.json").write_text('{"preprocessing": {"preset": "unit"}}', "utf-8")
    with TestClient(create_app(Settings(models=directory))) as http:
        yield http


@pytest.mark.parametrize(
    "resource", ["overlay.png", "attributions/hirescam.png", "attributions/eigencam.png"]
)
def test_the_picture_under_a_map_is_the_one_the_layer_saw(siamese: TestClient, resource: str) -> None:
    (left, _), right = picture(), Image.new("RGB", (16, 16), (9, 200, 30))
    file = io.BytesIO()
    right.save(file, "PNG")
    files = {"left": left, "right": file.getvalue()}

    def below(layer: str, **options: str) -> tuple[Pixels, str]:
        form = {"layer": layer, "alpha": "0", **options}
        answer = siamese.post(f"/v1/models/twins/{resource}", files=files, data=form)
        assert answer.status_code == 200, answer.text
        drawn = Image.open(io.BytesIO(answer.content))
        return np.asarray(drawn.convert("RGB")), drawn.info["input"]  # type: ignore[attr-defined]

    sent = {"left": np.asarray(Image.open(io.BytesIO(left))), "right": np.asarray(right)}
    # Keras calls the layer for the second picture first.
    for wanted, given in (
        ("right", below("look")),
        ("left", below("look:1")),
        ("right", below("look:1", input="right")),
    ):
        np.testing.assert_array_equal(given[0], sent[wanted])
        assert given[1] == wanted
