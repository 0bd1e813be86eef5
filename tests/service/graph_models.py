"""Models to look into, and how they are traced."""

from dataclasses import dataclass

import keras
import numpy as np
from keras import layers

from layerscope.graph.loading.serialize import serialize
from layerscope.graph.prepared.prepared_model import PreparedModel, anonymous_file, read
from layerscope.graph.runtime.derivatives import Derivative
from layerscope.graph.runtime.executable import Executable
from layerscope.graph.taps.selectors import TapIndex
from layerscope.graph.tracing.signature import signature_of
from layerscope.graph.tracing.trace import Trace, trace
from layerscope.models.manifest import Manifest

PLAN_BYTES = 2**28


@dataclass
class Traced:
    model: keras.Model
    trace: Trace
    prepared: PreparedModel
    executable: Executable
    index: TapIndex

    def taps(self, *selectors):
        return self.index.select(selectors)

    def values(self, *selectors, on):
        taps = self.taps(*selectors)
        arrays = self.executable.run(on, taps)
        return {tap.address: array for tap, array in zip(taps, arrays, strict=True)}

    def value(self, address, *, on):
        (array,) = self.executable.run(on, [self.index[address]])
        return array

    def gradient(self, inputs, target, tap, unit=None, **options):
        """The derivative of a target, or of one unit of its last axis, by the values of a tap."""
        weights = None if unit is None else one_unit(self.executable, inputs, target, unit)
        return self.executable.gradient(inputs, Derivative(target, tap, **options), weights)

    @property
    def addresses(self):
        return [tap.address for tap in self.index.outputs()]


def one_unit(executable, inputs, target, unit):
    (values,) = executable.run(inputs, [target])
    weights = np.zeros_like(values)
    weights[..., unit] = 1
    return weights


def traced(model, *, plan_bytes=PLAN_BYTES):
    return made_ready(model, trace(model, signature_of(model)), plan_bytes=plan_bytes)


def made_ready(model, made, *, plan_bytes=PLAN_BYTES):
    inputs = [call.taps[0].address for call in made.calls[: len(made.inputs)]]
    index = TapIndex(made.calls, inputs, [tap.address for _, tap in made.outputs])
    ready = prepared(made)
    return Traced(model, made, ready, Executable(ready, plan_bytes=plan_bytes), index)


def prepared(made: Trace) -> PreparedModel:
    with anonymous_file() as file:
        serialize(file, made, digest="", manifest=Manifest(), parameters=0)
        return read(file)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


_STATISTICS = {
    "gamma": (0.5, 1.0),
    "beta": (-0.2, 0.2),
    "moving_mean": (-0.2, 0.2),
    "moving_variance": (0.8, 1.2),
}


def scatter_statistics(model, seed=0):
    """Give batch normalisation statistics that are not the identity, as training does.

    They keep the values of deep models within a few orders of magnitude, so that rounding stays rounding.
    """
    random = np.random.default_rng(seed)
    for layer in model._flatten_layers():
        if isinstance(layer, layers.BatchNormalization):
            for weight in layer.weights:
                weight.assign(random.uniform(*_STATISTICS[weight.name], weight.shape))
    return model


def assert_close(actual, expected, relative=1e-4):
    """Within `relative` of the largest magnitude."""
    expected = np.asarray(expected)
    assert actual.shape == expected.shape
    difference = np.abs(actual - expected).max(initial=0)
    assert difference <= relative * max(np.abs(expected).max(initial=0), 1e-12)


def backbone(name, channels=4):
    start = keras.Input((None, None, 3), name=f"{name}_in")
    hidden = layers.Conv2D(channels, 3, padding="same", activation="relu", name="conv")(start)
    end = layers.BatchNormalization(name="bn")(hidden)
    return scatter_statistics(keras.Model(start, end, name=name))


def nested_model():
    """A model in a model in a model; the inner one is called twice, as is one layer."""
    inner = backbone("inner")
    start = keras.Input((8, 8, 3), name="middle_in")
    hidden = inner(start)
    middle = keras.Model(start, layers.Conv2D(3, 1, name="conv")(hidden), name="middle")
    images = keras.Input((8, 8, 3), name="images")
    squeeze = layers.Conv2D(3, 1, activation="tanh", name="squeeze")
    once = inner(middle(squeeze(images)))
    twice = squeeze(images + 1.0)
    merged = layers.Concatenate(name="merged")([once, twice])
    return keras.Model(images, layers.GlobalAveragePooling2D(name="pool")(merged), name="outer")


def residual_model():
    images = keras.Input((6, 6, 4), name="images")
    hidden = layers.Conv2D(4, 3, padding="same", activation="relu", name="stem")(images)
    branch = layers.Dropout(0.5, name="drop")(hidden)
    branch = layers.Conv2D(4, 3, padding="same", name="branch")(branch)
    added = layers.Add(name="add")([hidden, branch])
    active = layers.Activation("relu", name="active")(added)
    scores = layers.Dense(5, activation="softmax", name="scores")(layers.Flatten(name="flat")(active))
    return keras.Model(images, scores)


def gru_model():
    steps = keras.Input((5, 3), name="steps")
    hidden = layers.Dense(4, activation="tanh", name="embed")(steps)
    return keras.Model(steps, layers.Dense(2, name="head")(layers.GRU(6, name="gru")(hidden)))
