"""Small models, written to a model directory in the ways that people write them."""

import json

import keras
import numpy as np
from keras import layers

PLUGIN = '''
import keras


@keras.saving.register_keras_serializable(package="faces")
class Proposal(keras.Model):
    """Two heads over one trunk, all names chosen by the class."""

    def __init__(self, **options):
        super().__init__(**options)
        self.trunk = keras.layers.Conv2D(4, 3, name="trunk")
        self.bend = keras.layers.PReLU(shared_axes=[1, 2], name="bend")
        self.boxes = keras.layers.Conv2D(4, 1, name="head-boxes")
        self.faces = keras.layers.Conv2D(2, 1, activation="softmax", name="head-faces")

    def build(self, input_shape):
        self.trunk.build(input_shape)
        hidden = (None, None, None, 4)
        for layer in (self.bend, self.boxes, self.faces):
            layer.build(hidden)
        super().build(input_shape)

    def call(self, inputs):
        hidden = self.bend(self.trunk(inputs))
        return [self.boxes(hidden), self.faces(hidden)]
'''


def tiny_model(size=8, channels=3, units=2):
    start = keras.Input((size, size, channels), name="start")
    hidden = layers.Conv2D(4, 3, activation="relu", name="conv")(start)
    return keras.Model(start, layers.Dense(units, name="dense")(layers.Flatten(name="flat")(hidden)))


def separable_model():
    start = keras.Input((8, 8, 3), name="start")
    hidden = layers.DepthwiseConv2D(3, name="depthwise")(start)
    hidden = layers.SeparableConv2D(5, 3, activation="relu", name="separable")(hidden)
    return keras.Model(start, layers.GlobalAveragePooling2D(name="pool")(hidden))


def write_version(directory, model, name, version=1, **declaration):
    folder = directory / name / str(version)
    folder.mkdir(parents=True)
    model.save(folder / "model.keras")
    if declaration:
        declare(folder, **declaration)
    return folder


def declare(folder, **declaration):
    (folder / "layerscope.json").write_text(json.dumps(declaration), "utf-8")


def pixels(count, size=8, channels=3):
    return np.random.default_rng(0).integers(0, 256, (count, size, size, channels), np.uint8)
