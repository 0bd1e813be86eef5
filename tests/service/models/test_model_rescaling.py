"""What is assumed of an input without a declaration: the values that the model's own operations were written for."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from model_files import write_version

from layerscope.graph.loading.prepare import prepare
from layerscope.graph.model import assemble
from layerscope.models.directory import find_models

MEAN = np.array([103.939, 116.779, 123.68], np.float32)


def adapted(largest):
    layer = layers.Normalization()
    layer.adapt(np.random.default_rng(3).uniform(0, largest, (8, 4, 4, 3)))
    return layer


def by_channel(x):
    parts = [x[..., number : number + 1] - MEAN[number] for number in (2, 1, 0)]
    return ops.concatenate(parts, axis=-1)


PIXELS = {
    "signed": lambda x: x / 127.5 - 1,
    "unit": lambda x: x / 255,
    "factor": lambda x: (1 / 255) * x,
    "bgr": lambda x: x[..., ::-1] - MEAN,
    "split": by_channel,
    "caffe": keras.applications.vgg16.preprocess_input,
    "torch": keras.applications.densenet.preprocess_input,
    "inverted": lambda x: (255 - x) / 255,
    "layer": layers.Rescaling(1 / 127.5, -1),
    "adapted": adapted(255),
    "resized": lambda x: layers.Resizing(6, 6)(x) / 255,
    "padded": lambda x: layers.ZeroPadding2D(1)(x) / 255,
    "cast": lambda x: ops.cast(x, "float16") / 255,
}
UNIT = {
    "nothing": lambda x: x,
    "widened": lambda x: 2 * x - 1,
    "torch": lambda x: (x - np.array([0.485, 0.456, 0.406], np.float32)) / np.float32(0.225),
    "enlarged": lambda x: 255 * x - MEAN,
    "adapted": adapted(1),
    "skipped": lambda x: x + layers.Conv2D(3, 3, padding="same")(x),
    "later": lambda x: layers.Conv2D(3, 3)(x) / 255,
    "later_layer": lambda x: layers.Rescaling(1 / 255)(layers.Conv2D(3, 3)(x)),
}
UNTOLD = {
    "own_largest": (lambda x: x / ops.max(x), "RealDiv"),
    "logarithm": (lambda x: ops.log(x + 1), "Log"),
    "tenth": (lambda x: x / 10, "0.1 * input"),
    "two_ways": (
        lambda x: layers.Concatenate()([layers.Conv2D(2, 1)(x), layers.Conv2D(2, 1)(x / 255)]),
        "input",
    ),
}


def described(folder, change, dtype="float32"):
    start = keras.Input((8, 8, 3), name="start", dtype=dtype)
    last = layers.GlobalAveragePooling2D()(layers.Conv2D(2, 3)(change(start)))
    return loaded(folder, keras.Model(start, layers.Dense(2)(last)))


def loaded(folder, model):
    """The description of a model that was saved and loaded."""
    write_version(folder, model, "made")
    (source,) = find_models(folder)
    made = assemble(source, prepare(source), plan_bytes=1, rewrites=())
    made.close()
    return made.description


@pytest.mark.parametrize("name", PIXELS)
def test_a_model_that_rescales_pixels_gets_them_as_they_are(tmp_path, name):
    model = described(tmp_path, PIXELS[name])
    assert (model.preprocessing["start"].scale, model.preprocessing["start"].offset) == ((1.0,), (0.0,))
    assert "'none' was assumed, for the model computes" in model.warnings[0]


@pytest.mark.parametrize("name", UNIT)
def test_any_other_model_gets_values_from_0_to_1(tmp_path, name):
    model = described(tmp_path, UNIT[name])
    assert model.preprocessing["start"].scale == pytest.approx((1 / 255,))
    assert "'unit' was assumed. Declare it" in model.warnings[0]


@pytest.mark.parametrize("name", UNTOLD)
def test_what_cannot_be_told_is_named(tmp_path, name):
    change, found = UNTOLD[name]
    model = described(tmp_path, change)
    assert model.preprocessing["start"].scale == pytest.approx((1 / 255,))
    (assumed,) = [warning for warning in model.warnings if "'unit' was assumed" in warning]
    assert "though the model computes" in assumed
    assert found in assumed


def test_an_input_of_whole_numbers_gets_pixels(tmp_path):
    model = described(tmp_path, lambda x: ops.cast(x, "float32"), dtype="uint8")
    assert model.preprocessing["start"].scale == (1.0,)


def test_each_input_is_followed_by_itself(tmp_path):
    one, two = (keras.Input((8, 8, 3), name=name) for name in ("one", "two"))
    both = layers.Concatenate()(
        [layers.Conv2D(2, 1)(one), layers.Conv2D(2, 1)(layers.Rescaling(1 / 255)(two))]
    )
    model = keras.Model([one, two], layers.GlobalAveragePooling2D()(both))
    found = loaded(tmp_path, model).preprocessing
    assert [round(1 / found[name].scale[0]) for name in ("one", "two")] == [255, 1]
