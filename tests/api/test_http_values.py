"""Values over HTTP against what Keras computes, layer by layer, without the service."""

import io

import keras
import numpy as np
import pytest
from answers_read import npy, relative_error, tensors
from matplotlib import colormaps
from matplotlib.colors import Normalize
from PIL import Image
from served_models import WIRINGS, Gallery, inputs_of
from starlette.testclient import TestClient

from layerscope.demo import samples

ACTIVATIONS = "/v1/models/digits/activations"
FILES = [samples()[name] for name in ("seven", "two", "nine")]


def pixels(count: int) -> np.ndarray:
    return np.stack([np.asarray(Image.open(file), np.float32)[..., None] / 255 for file in FILES[:count]])


def layer_by_layer(model: keras.Model, values: np.ndarray) -> dict[str, np.ndarray]:
    result = {}
    for layer in model.layers:
        values = values if isinstance(layer, keras.layers.InputLayer) else layer(values)
        result[layer.name] = keras.ops.convert_to_numpy(values)
    return result


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("form", ["json", "npz", "safetensors"])
def test_every_layer_is_what_keras_computes(
    http: TestClient, digits: keras.Model, form: str, count: int
) -> None:
    expected = layer_by_layer(digits, pixels(count))
    parts = [("image", file.read_bytes()) for file in FILES[:count]]
    found = tensors(http.post(ACTIVATIONS, files=parts, data={"layers": "all", "format": form}))

    assert found.keys() == expected.keys()
    for name, values in found.items():
        assert relative_error(values, expected[name]) < 1e-4, name


@pytest.mark.parametrize("count", [1, 3])
def test_every_layer_alone_is_what_keras_computes(http: TestClient, digits: keras.Model, count: int) -> None:
    expected = layer_by_layer(digits, pixels(count))
    parts = [("image", file.read_bytes()) for file in FILES[:count]]
    for name, values in expected.items():
        options = {"layers": name, "format": "npy"}
        found = tensors(http.post(ACTIVATIONS, files=parts, data=options))
        assert list(found) == [name]
        assert relative_error(found[name], values) < 1e-4, name


def test_the_formats_carry_the_same_bits(http: TestClient, seven: str) -> None:
    found = [
        tensors(http.get(ACTIVATIONS, params={"image": seven, "layers": "conv2", "format": form}))["conv2"]
        for form in ("json", "npy", "npz", "safetensors")
    ]
    for other in found[1:]:
        assert other.dtype == np.float32
        np.testing.assert_array_equal(other, found[0])


def test_json_leaves_values_out_when_asked(http: TestClient, seven: str) -> None:
    options = {"image": seven, "layers": "dense", "statistics": "true"}
    (full,) = http.get(ACTIVATIONS, params=options).json()["layers"]
    (bare,) = http.get(ACTIVATIONS, params={**options, "values": "false"}).json()["layers"]

    values = full.pop("values")
    assert bare == full
    assert bare["statistics"]["max"] == pytest.approx(np.max(values))


def test_the_first_eight_layers_as_the_seed_of_the_project_has_them(
    http: TestClient, digits: keras.Model, seven: str
) -> None:
    first = keras.Model(digits.inputs, [layer.output for layer in digits.layers[:8]])
    expected = first.predict(pixels(1), verbose=0)
    options = {"image": seven, "layers": "index:0..7", "format": "npz"}
    found = tensors(http.get(ACTIVATIONS, params=options))

    assert list(found) == [layer.name for layer in digits.layers[:8]]
    for values, wanted in zip(found.values(), expected, strict=True):
        np.testing.assert_allclose(values, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("layer", ["conv1", "pool1", "conv2", "pool2", "conv3"])
def test_a_feature_map_has_the_colours_of_matshow(http: TestClient, seven: str, layer: str) -> None:
    options = {"image": seven, "layers": layer, "format": "npy"}
    channel = tensors(http.get(ACTIVATIONS, params=options))[layer][0, :, :, 1]
    wanted = colormaps["viridis"](Normalize()(channel), bytes=True)[..., :3]
    look = {"image": seven, "layer": layer, "channel": 1, "colormap": "viridis"}
    answer = http.get("/v1/models/digits/feature-map.png", params=look)

    picture = Image.open(io.BytesIO(answer.content))
    assert picture.mode == "P"
    np.testing.assert_array_equal(np.asarray(picture.convert("RGB")), wanted)
    assert float(answer.headers["x-value-min"]) == pytest.approx(float(channel.min()))
    assert float(answer.headers["x-value-max"]) == pytest.approx(float(channel.max()))
    assert answer.headers["x-layer"] == layer


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("name", WIRINGS)
def test_every_tap_of_every_wiring_is_reached_by_its_address(gallery: Gallery, name: str, batch: int) -> None:
    example = gallery.examples[name]
    arrays = inputs_of(example.model, batch)
    expected = {
        address: keras.ops.convert_to_numpy(values) for address, values in example.values(*arrays).items()
    }
    inputs = [row["name"] for row in gallery.http.get(f"/v1/models/{name}").json()["inputs"]]
    parts = {each: npy(array) for each, array in zip(inputs, arrays, strict=True)}
    url = f"/v1/models/{name}@1/activations"

    everything = tensors(gallery.http.post(url, files=parts, data={"layers": "all", "format": "safetensors"}))
    assert everything.keys() == expected.keys()
    for address, values in expected.items():
        assert relative_error(everything[address], values) < 1e-4, address
        one = {"layers": address, "format": "safetensors"}
        alone = tensors(gallery.http.post(url, files=parts, data=one))
        assert list(alone) == [address]
        assert relative_error(alone[address], values) < 1e-4, address


def test_predictions_name_the_classes(http: TestClient, digits: keras.Model) -> None:
    expected = layer_by_layer(digits, pixels(3))["probabilities"]
    answer = http.post(
        "/v1/models/digits/predictions",
        files=[("image", file.read_bytes()) for file in FILES],
        data={"top": 3},
    )

    (output,) = answer.json()["outputs"]
    assert [image[0]["name"] for image in output["predictions"]] == ["7", "2", "9"]
    for image, wanted in zip(output["predictions"], expected, strict=True):
        assert [row["class"] for row in image] == np.argsort(-wanted)[:3].tolist()
        assert [row["value"] for row in image] == pytest.approx(np.sort(wanted)[::-1][:3].tolist(), abs=1e-6)


def test_predictions_of_two_outputs(gallery: Gallery) -> None:
    left, right = inputs_of(gallery.examples["pair"].model, 1)
    expected = gallery.examples["pair"].values(left, right)
    answer = gallery.http.post(
        "/v1/models/pair/predictions", files={"left": npy(left), "right": npy(right)}
    ).json()

    assert [output["name"] for output in answer["outputs"]] == ["kind", "score"]
    for output in answer["outputs"]:
        values = {row["class"]: row["value"] for row in output["predictions"][0]}
        wanted = keras.ops.convert_to_numpy(expected[output["name"]])[0]
        assert [values[number] for number in range(len(wanted))] == pytest.approx(wanted.tolist(), abs=1e-5)
