"""Every call of the blocking client, against the real service with its demo model."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from layerscope.demo import samples
from layerscope.limits import Limits
from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app
from layerscope_client import Client, Model, errors

if TYPE_CHECKING:
    import httpx2

SEVEN = samples()["seven"]


def top_class(model: Model, image: Any) -> int:
    return model.predictions(image)["outputs"][0]["predictions"][0][0]["class"]


def pixels_of(path: Path) -> np.ndarray[Any, np.dtype[np.uint8]]:
    with Image.open(path) as image:
        return np.asarray(image)


def first_convolution(model: Model) -> str:
    return model.layers("type:Conv2D")[0]["address"]


def test_the_service_describes_itself(scope: Client) -> None:
    assert [model["name"] for model in scope.models()] == ["digits"]
    assert all(limit["value"] > 0 and limit["unit"] and limit["meaning"] for limit in scope.limits())
    assert {"layerscope", "keras", "numpy"} <= scope.version().keys()


def test_a_model_describes_itself(digits: Model) -> None:
    description = digits.describe()

    assert (description["name"], description["version"], description["state"]) == ("digits", 1, "ready")
    assert description["inputs"][0]["shape"] == [28, 28, 1]
    assert description["layers"] == len(digits.graph()["nodes"])


def test_layers_are_those_that_match_any_selector(digits: Model) -> None:
    every = [layer["address"] for layer in digits.layers()]
    chosen = digits.layers("type:Conv2D", "outputs")

    assert {layer["type"] for layer in chosen} == {"Conv2D", "Dense"}
    assert [address for address in every if address in {layer["address"] for layer in chosen}] == [
        layer["address"] for layer in chosen
    ]
    assert chosen.model["name"] == "digits"
    assert chosen.unreachable == []


def test_a_handle_may_name_a_version(scope: Client) -> None:
    assert scope.model("digits@1").describe()["digest"] == scope.model("digits").describe()["digest"]


def test_activations_are_arrays_by_address(digits: Model) -> None:
    layers = digits.layers("type:Conv2D")
    activations = digits.activations(SEVEN, layers="type:Conv2D")

    assert list(activations) == [layer["address"] for layer in layers]
    for layer in layers:
        array = activations[layer["address"]]
        assert array.shape == (1, *layer["shape"])
        assert array.dtype == layer["dtype"]
        assert activations.layers[layer["address"]]["type"] == "Conv2D"
    assert activations.model == "digits@1"
    assert activations.digest == digits.describe()["digest"]
    assert len(activations.images) == 1
    assert layers[0]["address"] in repr(activations)


@pytest.mark.parametrize(
    "images",
    [SEVEN, [SEVEN, SEVEN], np.zeros((3, 28, 28, 1), np.float32), {"input": SEVEN}],
    ids=["one", "two", "tensor", "by name"],
)
def test_a_plan_is_what_comes(digits: Model, images: Any) -> None:
    plan = digits.plan(images, "conv*", dtype="float16", stride=2)
    activations = digits.activations(images, "conv*", dtype="float16", stride=2)

    assert {layer["address"]: (layer["shape"], layer["dtype"]) for layer in plan["layers"]} == {
        address: (list(array.shape), array.dtype.name) for address, array in activations.items()
    }
    assert (plan["format"], plan["admitted"], plan["images"]) == (
        "safetensors",
        True,
        len(activations.images),
    )


def test_a_plan_for_so_many_images_needs_none_and_says_what_would_be_refused(digits: Model) -> None:
    assert digits.plan(4, "outputs")["layers"][0]["shape"] == [4, 10]

    with TestClient(create_app(Settings(models=None, limits=Limits(response_bytes=100_000)))) as http:
        small = Client(http=http).model("digits")
        plan = small.plan(9, "conv*")["formats"]["safetensors"]
        with pytest.raises(errors.AnswerTooLarge) as refused:
            small.activations(np.zeros((9, 28, 28, 1), np.float32), "conv*")

    assert plan["refusal"] is not None
    assert plan["refusal"]["error"] == refused.value.message
    assert plan["refusal"]["details"] == refused.value.details
    assert len(refused.value.details["ways"]) == 3


def test_only_what_was_asked_for_is_in_the_mapping(digits: Model) -> None:
    activations = digits.activations(SEVEN, layers=[first_convolution(digits)], dtype="uint8")

    assert len(activations) == 1
    with pytest.raises(KeyError):
        activations[first_convolution(digits) + "@scale"]


def test_the_options_of_tensors_arrive(digits: Model) -> None:
    layer = first_convolution(digits)
    full = digits.activations(SEVEN, layers=layer)[layer]

    picked = digits.activations(SEVEN, layers=layer, channels=[0, 2])[layer]
    np.testing.assert_array_equal(picked, full[..., [0, 2]])
    window = digits.activations(SEVEN, layers=layer, region=(2, 3, 10, 9), stride=2)[layer]
    np.testing.assert_array_equal(window, full[:, 3:9:2, 2:10:2])
    means = digits.activations(SEVEN, layers=layer, reduce="mean", layout="nchw")[layer]
    np.testing.assert_allclose(means, full.mean(axis=(1, 2)), rtol=1e-5)
    first = digits.activations(SEVEN, layers=layer, layout="nchw", dtype="float16")[layer]
    np.testing.assert_array_equal(first, np.moveaxis(full, 3, 1).astype(np.float16))


@pytest.mark.parametrize("layout", ["nhwc", "nchw"])
def test_quantized_values_come_back_within_half_a_step(digits: Model, layout: Any) -> None:
    layer = first_convolution(digits)
    full = digits.activations(SEVEN, layers=layer, layout=layout)
    small = digits.activations(SEVEN, layers=layer, layout=layout, dtype="uint8")

    axis = small.layers[layer]["channel_axis"]
    others = tuple(other for other in range(4) if other != axis)
    step = np.ptp(full[layer], axis=others, keepdims=True) / 255
    assert small[layer].dtype == np.uint8
    assert (np.abs(small.dequantized(layer) - full[layer]) <= step * 0.51 + 1e-6).all()
    np.testing.assert_array_equal(full.dequantized(layer), full[layer])


@pytest.mark.parametrize(
    "kind", ["path", "text", "bytes", "pixels", "pixels with a channel", "PIL", "stored", "id"]
)
def test_an_image_may_be_named_in_many_ways(scope: Client, digits: Model, kind: str) -> None:
    with Image.open(SEVEN) as opened:
        opened.load()
    pixels = pixels_of(SEVEN)
    stored = scope.upload(SEVEN)
    image: Any = {
        "path": SEVEN,
        "text": str(SEVEN),
        "bytes": SEVEN.read_bytes(),
        "pixels": pixels,
        "pixels with a channel": pixels[..., np.newaxis],
        "PIL": opened,
        "stored": stored,
        "id": stored.id,
    }[kind]
    layer = first_convolution(digits)

    expected = digits.activations(SEVEN, layers=layer)[layer]
    np.testing.assert_array_equal(digits.activations(image, layers=layer)[layer], expected)


def test_a_list_is_a_batch(digits: Model) -> None:
    images = list(samples().values())[:3]
    layer = first_convolution(digits)
    batch = digits.activations(images, layers=layer)

    assert len(set(batch.images)) == 3
    for row, image in zip(batch[layer], images, strict=True):
        np.testing.assert_allclose(row, digits.activations(image, layers=layer)[layer][0], atol=1e-5)


def test_a_floating_point_array_is_fed_as_it_is(digits: Model) -> None:
    rng = np.random.default_rng(7)
    tensors = rng.normal(size=(2, 28, 28, 1)).astype(np.float32)

    np.testing.assert_array_equal(digits.activations(tensors, layers="input")["input"], tensors)
    np.testing.assert_array_equal(digits.activations(list(tensors), layers="input")["input"], tensors)


def test_predictions_name_the_digit(digits: Model) -> None:
    predictions = digits.predictions([SEVEN, samples()["two"]], top=3)["outputs"][0]["predictions"]

    assert [image[0]["class"] for image in predictions] == [7, 2]
    assert [len(image) for image in predictions] == [3, 3]


def test_a_feature_map_is_a_picture(digits: Model, tmp_path: Path) -> None:
    layer = first_convolution(digits)
    values = digits.activations(SEVEN, layers=layer)[layer][0, ..., 1]
    picture = digits.feature_map(SEVEN, layer=layer, channel=1, scale=2, centered=False)

    assert picture.layer == layer
    assert picture.model == "digits@1"
    assert picture.digest == digits.describe()["digest"]
    assert picture.value_min == pytest.approx(float(values.min()), rel=1e-4)
    assert picture.value_max == pytest.approx(float(values.max()), rel=1e-4)
    assert picture.to_pil().size == (2 * values.shape[1], 2 * values.shape[0])
    picture.save(tmp_path / "map.png")
    assert (tmp_path / "map.png").read_bytes() == bytes(picture) == picture._repr_png_()


def test_a_feature_map_may_be_a_grid(digits: Model) -> None:
    layer = first_convolution(digits)
    grid = digits.feature_map(SEVEN, layer=layer, channels="0-3", columns=4, gap=0, normalize="layer")

    width, height = grid.to_pil().size
    assert width == 4 * height


def test_an_atlas_tells_where_each_channel_lies(digits: Model) -> None:
    look: dict[str, Any] = {"channels": "0-3", "columns": 4, "gap": 0, "colormap": "gray"}
    grid, atlas = (draw(SEVEN, "conv1", **look) for draw in (digits.feature_map, digits.atlas))

    assert (atlas["width"], atlas["height"]) == grid.to_pil().size
    tile = atlas["layers"][0]["tiles"][2]
    box = (tile["x"], tile["y"], tile["x"] + tile["width"], tile["y"] + tile["height"])
    single = digits.feature_map(SEVEN, "conv1", channel=tile["channel"], colormap="gray")
    assert (single.value_min, single.value_max) == pytest.approx((tile["value_min"], tile["value_max"]))
    np.testing.assert_array_equal(grid.to_pil().convert("RGB").crop(box), single.to_pil().convert("RGB"))


def test_an_uploaded_image_is_described_and_can_be_forgotten(scope: Client) -> None:
    stored = scope.upload(SEVEN)

    assert (stored.width, stored.height, stored.mode) == (28, 28, "L")
    assert scope.upload(stored.id).id == stored.id
    scope.forget(stored)
    with pytest.raises(errors.ImageNotFound):
        scope.forget(stored.id)


def test_an_image_the_service_has_forgotten_is_uploaded_again(
    scope: Client, digits: Model, http: TestClient
) -> None:
    stored = scope.upload(SEVEN)
    assert top_class(digits, SEVEN) == 7
    Client(http=http).forget(stored)

    assert top_class(digits, [SEVEN]) == 7
    Client(http=http).forget(stored)
    with pytest.raises(errors.ImageNotFound):
        digits.predictions(stored)


def test_an_image_is_uploaded_once() -> None:
    sent: list[httpx2.Request] = []
    with TestClient(create_app(Settings(models=None))) as http:
        http.event_hooks["request"].append(sent.append)
        digits = Client(http=http).model("digits")
        digits.predictions(SEVEN)
        digits.predictions(SEVEN.read_bytes())

    assert [request.method for request in sent] == ["POST", "GET", "GET"]


@pytest.mark.parametrize(
    ("image", "refusal"),
    [
        ([], ValueError),
        (np.zeros((28, 28, 1), np.int64), TypeError),
        (np.zeros((1, 28, 28, 1), np.uint8), ValueError),
        ([SEVEN, np.zeros((28, 28, 1))], ValueError),
        (7, TypeError),
        ("no such file.png", FileNotFoundError),
    ],
)
def test_what_cannot_be_sent_is_refused_here(digits: Model, image: Any, refusal: type[Exception]) -> None:
    with pytest.raises(refusal):
        digits.predictions(image)


def test_a_tensor_cannot_be_stored(scope: Client) -> None:
    with pytest.raises(TypeError, match="uint8"):
        scope.upload(np.zeros((28, 28, 1)))


def test_errors_say_which(scope: Client, digits: Model) -> None:
    with pytest.raises(errors.ModelNotFound) as model:
        scope.model("nobody").describe()
    assert (model.value.code, model.value.status) == ("model_not_found", 404)
    assert model.value.request_id
    with pytest.raises(errors.LayerNotFound) as layer:
        digits.activations(SEVEN, layers=["conv_1"])
    assert layer.value.details["near"]
    with pytest.raises(errors.ChannelNotFound):
        digits.feature_map(SEVEN, layer=first_convolution(digits), channel=10_000)
    with pytest.raises(errors.UnsupportedImage):
        scope.upload(b"not an image")
    with pytest.raises(errors.InputMismatch):
        digits.predictions(np.zeros((1, 5, 5, 1), np.float32))
    with pytest.raises(errors.TooMany):
        digits.predictions([SEVEN] * 65)


def test_a_name_cannot_leave_its_place_in_the_address(scope: Client) -> None:
    for name in ("../limits", "..", "digits/layers", "digits?x=", "a b", "é", ""):
        with pytest.raises(ValueError, match="name@version"):
            scope.model(name)
        with pytest.raises(ValueError, match="sha256-"):
            scope.forget(name)


def test_an_edited_model_answers_about_itself_and_leaves_the_other_alone(digits: Model) -> None:
    before = digits.activations(SEVEN, "conv3")["conv3"]
    edited = digits.edited("conv2;channels=0-7;set=0").edited("conv1;scale=2")

    assert repr(edited) == "<Model digits edited by conv2;channels=0-7;set=0, conv1;scale=2>"
    assert not np.array_equal(edited.activations(SEVEN, "conv3")["conv3"], before)
    body = edited.predictions(SEVEN)
    assert body["edits"] == ["conv1;scale=2", "conv2;channels=0-7;set=0"]  # type: ignore[typeddict-item]
    assert edited.plan(1, "conv3")["images"] == 1
    np.testing.assert_array_equal(digits.activations(SEVEN, "conv3")["conv3"], before)
