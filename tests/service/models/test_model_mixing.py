"""Models that mix the images of a batch: which layer does is said where a model is described."""

import keras
from keras import layers, ops
from model_files import write_version

from layerscope.execution.local_engine import LocalEngine
from layerscope.limits import Limits


def described(folder, model):
    write_version(folder, model, "made")
    engine = LocalEngine(folder, Limits())
    engine.load_all()
    try:
        return engine.describe("made")
    finally:
        engine.close()


def mixed():
    start = keras.Input((4,), name="start")
    inner = keras.Input((4,), name="inner")
    spread = ops.var(layers.Dense(4, name="before")(inner), axis=0, keepdims=True)
    block = keras.Model(inner, layers.Add(name="sum")([inner, spread]), name="block")
    return keras.Model(start, layers.Dense(2, name="last")(block(start)))


def test_a_model_that_mixes_images_says_in_which_layer(tmp_path):
    (warning,) = described(tmp_path, mixed()).warnings
    assert "'block/var'" in warning
    assert "each image runs by itself" in warning


def test_a_model_that_does_not_says_nothing(tmp_path):
    start = keras.Input((4, 4), name="start")
    turned = layers.MultiHeadAttention(2, 2)(start, start)
    assert described(tmp_path, keras.Model(start, layers.BatchNormalization()(turned))).warnings == ()
