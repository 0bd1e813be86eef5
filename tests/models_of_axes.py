"""Small models that see no images: a series, a volume, frames, words, and a vector of features; and what each is called with."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from saved_models import save_models


@dataclass(frozen=True)
class Case:
    """A model, some inputs of it, and what the graph says of it.

    Attributes:
        build: makes the model with a rectifier.
        shape: of one input.
        layer: the layer that is explained unless another one is named; None if there is none.
        of_input: what the places of the input count; None where it can have no map.
        target: a class that the layer speaks for.
    """

    build: Any
    shape: tuple[int, ...]
    layer: str | None
    of_input: tuple[str, ...] | None
    target: int = 1

    @property
    def values(self):
        random = np.random.default_rng(7)
        if self.of_input is None:
            return random.integers(1, 9, (2, *self.shape)).astype(np.int32)
        return random.normal(size=(2, *self.shape)).astype(np.float32)


def ending(start, hidden):
    return keras.Model(start, layers.Dense(3, name="kind", bias_initializer="normal")(hidden))


def series(relu="relu"):
    """As of an ECG."""
    start = keras.Input((24, 2), name="signal")
    hidden = layers.Conv1D(4, 5, activation=relu, padding="causal", name="first")(start)
    hidden = layers.MaxPooling1D(2, name="half")(hidden)
    hidden = layers.Conv1D(5, 3, activation=relu, name="last")(hidden)
    return ending(start, layers.GlobalAveragePooling1D(name="pool")(hidden))


def recurrent(relu=None):
    start = keras.Input((8, 3), name="signal")
    steps = layers.LSTM(4, return_sequences=True, name="steps")(start)
    return ending(start, layers.LSTM(3, name="end")(steps))


def volume(relu="relu"):
    start = keras.Input((6, 7, 8, 1), name="scan")
    hidden = layers.Conv3D(3, 3, activation=relu, name="first")(start)
    hidden = layers.Conv3D(4, 2, activation=relu, name="last")(hidden)
    return ending(start, layers.GlobalAveragePooling3D(name="pool")(hidden))


def frames(relu="relu"):
    start = keras.Input((3, 6, 7, 1), name="film")
    hidden = layers.TimeDistributed(layers.Conv2D(3, 3, activation=relu, name="conv"), name="each")(start)
    flat = layers.TimeDistributed(layers.Flatten(name="flat"), name="row")(hidden)
    return ending(start, layers.LSTM(3, name="end")(flat))


def film(relu=None):
    start = keras.Input((3, 6, 7, 1), name="film")
    hidden = layers.ConvLSTM2D(2, 3, return_sequences=True, name="each")(start)
    hidden = layers.ConvLSTM2D(3, 3, name="last")(hidden)
    return ending(start, layers.GlobalAveragePooling2D(name="pool")(hidden))


def words(relu=None):
    start = keras.Input((6,), dtype="int32", name="words")
    hidden = layers.LSTM(4, return_sequences=True, name="steps")(
        layers.Embedding(9, 4, name="embedded")(start)
    )
    return ending(start, layers.GlobalMaxPooling1D(name="pool")(hidden))


def vector(relu="relu"):
    start = keras.Input((6,), name="features")
    return ending(start, layers.Dense(5, activation=relu, name="hidden")(start))


VOLUME, FILM = ("depth", "height", "width"), ("time", "height", "width")

CASES = {
    "series": Case(series, (24, 2), "last", ("time",)),
    "recurrent": Case(recurrent, (8, 3), "steps", ("time",)),
    "volume": Case(volume, (6, 7, 8, 1), "last", VOLUME, target=0),
    "frames": Case(frames, (3, 6, 7, 1), "each", FILM),
    "film": Case(film, (3, 6, 7, 1), "each", FILM),
    "words": Case(words, (6,), "steps", None),
    "vector": Case(vector, (6,), None, ("channels",)),
}


@tf.custom_gradient
def guided_relu(values):
    """A rectifier that gradients pass only where they are positive."""
    return tf.nn.relu(values), lambda slope: tf.where((values > 0) & (slope > 0), slope, tf.zeros_like(slope))


def write_cases(directory, *names):
    """Save the models with these names, or every one, and give them by name."""
    keras.utils.set_random_seed(11)
    models = {name: CASES[name].build() for name in names or CASES}
    save_models(directory, models)
    return models
