"""Small classifiers that sweeps run over, and the effects that Keras' own layers give, one change at a time."""

import keras
import numpy as np
from keras import layers

SIZE = 8
CHANNELS = 6
DEAD, DISCONNECTED = (1, 4), (2,)
"""Channels of `swept` that are zero for every image, and that nothing behind reads."""


def write_swept_models(directory):
    for seed in range(4):
        keras.utils.set_random_seed(seed)
        classifier(seed).save(directory / f"net{seed}.keras")
    linear().save(directory / "linear.keras")
    mixing().save(directory / "mixing.keras")
    fixed().save(directory / "fixed.keras")
    keras.utils.set_random_seed(7)
    number().save(directory / "number.keras")


def classifier(seed):
    """Convolutions with a normalization, a skip connection and a nested model; which ones differs by seed."""
    start = keras.Input((SIZE, SIZE, 3), name="start")
    stem = layers.Conv2D(4, 3, padding="same", activation="relu", name="stem")(start)
    swept = layers.Conv2D(CHANNELS, 3, padding="same", name="conv")(stem)
    swept = layers.ReLU(name="swept")(swept)
    hidden = layers.Conv2D(4, 3, padding="same", use_bias=False, name="next")(swept)
    if seed % 2:
        hidden = layers.BatchNormalization(name="norm")(hidden)
    if seed < 2:
        hidden = layers.Add(name="add")([stem, hidden])
    hidden = layers.Activation("relu6", name="active")(hidden)
    if seed == 3:
        inner = keras.Input(hidden.shape[1:])
        hidden = keras.Model(
            inner, layers.Conv2D(4, 3, activation="swish", name="conv")(inner), name="inner"
        )(hidden)
    pooled = layers.GlobalAveragePooling2D(name="pool")(hidden)
    model = keras.Model(start, layers.Dense(5, activation="softmax", name="scores")(pooled))
    kernel, bias = model.get_layer("conv").get_weights()
    kernel[..., list(DEAD)], bias[list(DEAD)] = 0, -1
    model.get_layer("conv").set_weights([kernel, bias])
    kernel = model.get_layer("next").get_weights()[0]
    kernel[:, :, list(DISCONNECTED)] = 0
    model.get_layer("next").set_weights([kernel])
    return model


def linear():
    """y = W relu(V x)."""
    return keras.Sequential(
        [
            keras.Input((5,), name="start"),
            layers.Dense(7, "relu", name="hidden"),
            layers.Dense(3, name="end"),
        ]
    )


def number():
    """One number an image, which is no probability."""
    start = keras.Input((4, 4, 1), name="start")
    hidden = layers.Conv2D(3, 2, activation="relu", name="conv")(start)
    return keras.Model(start, layers.Dense(1, name="end")(layers.Flatten(name="flat")(hidden)))


def fixed():
    """A model that runs with one batch size only."""
    start = keras.Input(batch_shape=(2, 4, 3), name="start")
    hidden = layers.Dense(4, activation="relu", name="hidden")(start)
    state = layers.SimpleRNN(3, stateful=True, name="recurrent")(hidden)
    return keras.Model(start, layers.Dense(2, name="end")(state))


def mixing():
    """A model that normalizes over the batch, also when it only predicts."""
    start = keras.Input((4,), name="start")
    hidden = layers.Dense(3, name="hidden")(start)
    return keras.Model(start, hidden - keras.ops.mean(hidden, axis=0, keepdims=True))


def eager_scores(model, image, address, change):
    """The logits of a classifier with a change of the values of one layer: of all its layers, run one after the other."""
    found = {}
    for layer in model.layers:
        if isinstance(layer, layers.InputLayer):
            values = image[None]
        elif layer.name == "add":
            values = layer([found["stem"], values])
        elif layer.name == "scores":
            kernel, bias = layer.get_weights()
            values = np.asarray(values) @ kernel + bias
        else:
            values = layer(values)
        values = np.array(values)
        if layer.name == address:
            values = change(values)
        found[layer.name] = values
    return values[0]
