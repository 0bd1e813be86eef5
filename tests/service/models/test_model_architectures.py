"""Architectures of keras.applications that are declared instead of saved."""

import importlib

import keras
import numpy as np
import pytest
from model_files import declare, pixels, tiny_model, write_version

from layerscope.errors import ModelRefused
from layerscope.execution.inputs import TensorSource
from layerscope.execution.interface import Query
from layerscope.execution.local_engine import LocalEngine
from layerscope.graph.loading.prepare import prepare
from layerscope.graph.model import assemble
from layerscope.images import DecodedImage, Preprocessing
from layerscope.models.architectures import architectures, build_architecture, preset_of
from layerscope.models.directory import find_models
from layerscope.models.manifest import Manifest

pytestmark = pytest.mark.wide

SMALL = {"input_shape": [32, 32, 3], "alpha": 0.25, "classes": 4}


def declared(directory, name="mobile", **declaration):
    folder = directory / name / "1"
    folder.mkdir(parents=True)
    declare(folder, **declaration)
    return folder


def loaded(directory):
    (source,) = find_models(directory)
    return assemble(source, prepare(source), plan_bytes=2**28)


def as_decoded(pixels):
    height, width, _ = pixels.shape
    return DecodedImage(
        pixels=pixels, format="png", mode="RGB", width=width, height=height, orientation_applied=1, notes=()
    )


def reason(directory):
    (source,) = find_models(directory)
    with pytest.raises(ModelRefused) as raised:
        prepare(source)
    return raised.value.message


def test_an_architecture_with_random_weights_is_served_and_is_the_same_each_time(tmp_path):
    declared(tmp_path, architecture="MobileNet", weights="random", options=SMALL)
    engine = LocalEngine(tmp_path)
    engine.load_all()
    description = engine.describe("mobile")
    assert description.preprocessing["input_layer"] == Preprocessing.preset("signed", size=(32, 32))
    assert description.warnings == ()
    keras.utils.set_random_seed(0)
    model = keras.applications.MobileNet(**{**SMALL, "input_shape": (32, 32, 3)}, weights=None)
    values = pixels(2, 32).astype(np.float32) / 127.5 - 1
    query = Query(model="mobile", sources={"image": [TensorSource(values)]}, layers=["conv1", "outputs"])
    actual = engine.run(query).activations
    np.testing.assert_allclose(actual["predictions"].values, model(values), rtol=1e-5)
    np.testing.assert_allclose(actual["conv1"].values, model.get_layer("conv1")(values), rtol=1e-5, atol=1e-5)
    engine.close()


def test_random_weights_of_efficientnet_lite_are_the_same_each_time(tmp_path):
    manifest = Manifest(architecture="EfficientNetLite0", weights="random")
    first, second = (build_architecture(manifest, tmp_path).get_weights() for _ in range(2))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", ["mine.weights.h5", "mine.h5"])
def test_weights_from_a_file(tmp_path, name):
    model = keras.applications.MobileNet(**{**SMALL, "input_shape": (32, 32, 3)}, weights=None)
    folder = declared(tmp_path, architecture="MobileNet", weights=name, options=SMALL)
    save(model, folder / name)
    made = loaded(tmp_path)
    values = pixels(1, 32).astype(np.float32)
    (_, output), *_ = made.description.outputs
    np.testing.assert_allclose(made.executable.run([values], [output])[0], model(values), rtol=1e-5)
    made.close()
    model.set_weights([each + 1 for each in model.get_weights()])
    save(model, folder / name)
    (source,) = find_models(tmp_path)
    assert prepare(source).metadata.digest != made.description.digest


def save(model, path):
    model.save_weights(path) if ".weights." in path.name else model.save(path)


@pytest.mark.parametrize("name", sorted(architectures()))
def test_the_preset_is_what_keras_does_to_an_image(name):
    make = architectures()[name]
    module = importlib.import_module(make.__module__.replace("keras.src", "keras"))
    image = pixels(1, 9)[0]
    expected = module.preprocess_input(image.astype(np.float32))
    preset = preset_of(Manifest(architecture=name, weights="random"))
    assert preset is not None
    actual = Preprocessing.preset(preset).apply(as_decoded(image))
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=2e-5)


def test_every_architecture_of_keras_is_known():
    public = {name for name in dir(keras.applications) if name[0].isupper()}
    assert set(architectures()) == public
    assert len(public) >= 38


@pytest.mark.parametrize(
    ("declaration", "preset"),
    [
        ({"options": {**SMALL, "input_shape": [32, 32, 1]}}, "unit"),
        ({"options": SMALL, "preprocessing": {"preset": "torch"}}, "torch"),
        ({"options": SMALL, "inputs": {"input_layer": {"preset": "none"}}}, "none"),
    ],
)
def test_another_preprocessing(tmp_path, declaration, preset):
    declared(tmp_path, architecture="MobileNet", weights="random", **declaration)
    made = loaded(tmp_path)
    (preprocessing,) = made.description.preprocessing.values()
    expected = Preprocessing.preset(preset, size=(32, 32), color=preprocessing.color)
    assert preprocessing.digest == expected.digest
    made.close()


def test_without_the_preprocessing_inside_there_is_no_preset():
    options = {"include_preprocessing": False}
    assert preset_of(Manifest(architecture="MobileNetV3Small", weights="random")) == "none"
    assert preset_of(Manifest(architecture="MobileNetV3Small", weights="random", options=options)) is None
    assert preset_of(Manifest()) is None


def test_images_of_a_network_of_caffe_come_in_the_order_of_caffe(tmp_path):
    options = {"input_shape": [32, 32, 3], "classes": 2}
    declared(tmp_path, "vgg", architecture="VGG16", weights="random", options=options)
    made = loaded(tmp_path)
    assert made.description.preprocessing["input_layer"] == Preprocessing.preset("caffe", size=(32, 32))
    made.close()


@pytest.mark.parametrize(
    ("declaration", "words"),
    [
        ({"architecture": "mobilnetV2", "weights": "random"}, "did you mean MobileNetV2 or"),
        ({"architecture": "ViT", "weights": "random"}, "no architecture 'ViT': there are ConvNeXtBase, "),
        (
            {"architecture": "VGG16", "weights": "random", "options": {"shape": [32, 32, 3]}},
            "VGG16 has no option 'shape': use include_top, input_shape, pooling, classes, classifier_activation",
        ),
        (
            {"architecture": "VGG16", "weights": "random", "options": {"weights": "imagenet"}},
            "VGG16 has no option 'weights'",
        ),
        (
            {"architecture": "VGG16", "weights": "random", "options": {"input_shape": [8, 8, 3]}},
            "VGG16 cannot be built with these options: Input size must be at least 32x32",
        ),
        ({"architecture": "VGG16"}, "must say which weights VGG16 has: 'random', or the name of an .h5 file"),
        ({"architecture": "VGG16", "weights": "imagenet"}, "Nothing is downloaded."),
        ({"architecture": "VGG16", "weights": "../vgg.h5"}, "beside it"),
        ({"architecture": "VGG16", "weights": "gone.h5"}, "beside it"),
        (
            {"weights": "random"},
            "There is no model file beside layerscope.json, and it names no architecture",
        ),
        ({"architecture": 16}, "layerscope.json is wrong at architecture"),
    ],
)
def test_what_is_refused(tmp_path, declaration, words):
    declared(tmp_path, **declaration)
    (tmp_path / "mobile" / "vgg.h5").write_bytes(b"")
    assert words in reason(tmp_path)


def test_weights_that_do_not_fit(tmp_path):
    folder = declared(tmp_path, architecture="MobileNet", weights="mine.weights.h5", options=SMALL)
    tiny_model().save_weights(folder / "mine.weights.h5")
    assert reason(tmp_path) == (
        "The weights in mine.weights.h5 do not fit MobileNet with these options, or the file is damaged."
    )


def test_an_architecture_beside_a_model_file_is_refused(tmp_path):
    write_version(tmp_path, tiny_model(), "both", architecture="VGG16", weights="random")
    assert reason(tmp_path) == (
        "layerscope.json declares architecture, and there is a model file beside it: remove one of them."
    )


def test_building_takes_only_what_is_declared(tmp_path):
    manifest = Manifest(architecture="MobileNet", weights="random", options=SMALL)
    first, second = (build_architecture(manifest, tmp_path) for _ in range(2))
    for one, other in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
