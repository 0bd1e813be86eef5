"""Small models of every kind of wiring, written as a model directory, each with its own way to its values."""

import importlib.util
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import Input, Model, layers
from starlette.testclient import TestClient

Values = dict[str, Any]

WIRINGS = ("nested", "shared", "forked", "ladder", "pair", "any_size", "sequence", "odd", "plugin")
"""The names of the examples."""

PLUGIN = """
import keras


@keras.saving.register_keras_serializable("api_tests")
class Residual(keras.layers.Layer):
    def build(self, shape):
        self.conv = keras.layers.Conv2D(shape[-1], 3, padding="same", activation="relu", name="conv")
        self.conv.build(shape)
        self.built = True

    def call(self, values):
        return values + self.conv(values)


@keras.saving.register_keras_serializable("api_tests")
class Classifier(keras.Model):
    def __init__(self, **options):
        super().__init__(**options)
        self.stem = keras.layers.Conv2D(4, 3, padding="same", name="stem")
        self.residual = Residual(name="residual")
        self.pool = keras.layers.GlobalAveragePooling2D(name="pool")
        self.peak = keras.layers.GlobalMaxPooling2D(name="peak")

    def build(self, shape):
        self.stem.build(shape)
        self.residual.build((*shape[:3], 4))
        self.built = True

    def call(self, values):
        stem = self.stem(values)
        return [self.pool(self.residual(stem)), self.peak(self.residual(-stem))]
"""


@dataclass(frozen=True)
class Example:
    """A model, and what its layers compute from a batch of each input, found without the service."""

    model: Model
    values: Callable[..., Values]
    declaration: dict[str, Any]


@dataclass(frozen=True)
class Gallery:
    """A service over a directory of examples."""

    http: TestClient
    examples: dict[str, Example]


def conv(filters: int, name: str, **options: Any) -> layers.Conv2D:
    return layers.Conv2D(filters, 3, padding="same", activation="relu", name=name, **options)


def nested() -> Example:
    entrance = Input((8, 8, 4))
    block = Model(entrance, conv(4, "conv")(entrance), name="block")
    entrance = Input((8, 8, 4))
    backbone = Model(entrance, layers.BatchNormalization(name="norm")(block(entrance)), name="backbone")
    picture = Input((8, 8, 1), name="picture")
    features = layers.GlobalAveragePooling2D(name="pool")(backbone(conv(4, "stem")(picture)))
    model = Model(picture, layers.Dense(3, activation="softmax", name="kind")(features))

    def values(x: Any) -> Values:
        stem = model.get_layer("stem")(x)
        inside = block.get_layer("conv")(stem)
        norm = backbone.get_layer("norm")(inside)
        pool = model.get_layer("pool")(norm)
        return {
            "picture": x,
            "stem": stem,
            "backbone/block/conv": inside,
            "backbone/block": inside,
            "backbone/norm": norm,
            "backbone": norm,
            "pool": pool,
            "kind": model.get_layer("kind")(pool),
        }

    return Example(model, values, {"classes": ["cat", "dog", "cup"], "preprocessing": {"preset": "unit"}})


def shared() -> Example:
    entrance = Input((8, 8, 2))
    encoder = Model(entrance, layers.MaxPooling2D(name="pool")(conv(2, "conv")(entrance)), name="encoder")
    picture = Input((8, 8, 2), name="picture")
    flip = layers.Permute((2, 1, 3), name="turn")(picture)
    model = Model(picture, layers.Subtract(name="difference")([encoder(picture), encoder(flip)]))

    def values(x: Any) -> Values:
        turned = model.get_layer("turn")(x)
        first, second = (encoder.get_layer("conv")(each) for each in (x, turned))
        halves = [encoder.get_layer("pool")(each) for each in (first, second)]
        return {
            "picture": x,
            "turn": turned,
            "encoder/conv": first,
            "encoder/conv:1": second,
            "encoder/pool": halves[0],
            "encoder/pool:1": halves[1],
            "encoder": halves[0],
            "encoder:1": halves[1],
            "difference": halves[0] - halves[1],
        }

    return Example(model, values, {})


def forked(*, is_ladder: bool) -> Example:
    """A nested model with two outputs; in a ladder, the second is made of the first."""
    entrance = Input((8, 8, 1))
    near, far = conv(2, "near"), conv(2, "far")
    first = near(entrance)
    trunk = Model(entrance, [first, far(first if is_ladder else entrance)], name="trunk")
    picture = Input((8, 8, 1), name="picture")
    branches = trunk(picture)
    pools = [layers.GlobalMaxPooling2D(name=name) for name in ("pool_near", "pool_far")]
    model = Model(picture, [pool(branch) for pool, branch in zip(pools, branches, strict=True)])

    def values(x: Any) -> Values:
        one = near(x)
        two = far(one if is_ladder else x)
        taps = {"picture": x, "trunk/near": one, "trunk/far": two, "trunk": one, "trunk:0.1": two}
        return {**taps, "pool_near": pools[0](one), "pool_far": pools[1](two)}

    return Example(model, values, {"preprocessing": {"preset": "unit"}})


def pair() -> Example:
    left, right = Input((8, 8, 1), name="left"), Input((8, 8, 3), name="right")
    seen = [conv(2, "look_left")(left), conv(2, "look_right")(right)]
    both = layers.Concatenate(name="both")(seen)
    pooled = layers.GlobalMaxPooling2D(name="pool")(both)
    heads = [layers.Dense(2, activation="softmax", name="kind"), layers.Dense(1, name="score")]
    model = Model([left, right], [head(pooled) for head in heads])

    def values(x: Any, y: Any) -> Values:
        looks = [model.get_layer("look_left")(x), model.get_layer("look_right")(y)]
        joined = keras.ops.concatenate(looks, axis=-1)
        pool = keras.ops.max(joined, axis=(1, 2))
        return {
            "left": x,
            "right": y,
            "look_left": looks[0],
            "look_right": looks[1],
            "both": joined,
            "pool": pool,
            "kind": heads[0](pool),
            "score": heads[1](pool),
        }

    return Example(model, values, {"preprocessing": {"preset": "unit"}})


def any_size() -> Example:
    picture = Input((None, None, 3), name="picture")
    model = Model(picture, layers.GlobalAveragePooling2D(name="pool")(conv(4, "conv")(picture)))

    def values(x: Any) -> Values:
        inside = model.get_layer("conv")(x)
        return {"picture": x, "conv": inside, "pool": model.get_layer("pool")(inside)}

    return Example(model, values, {})


def sequence() -> Example:
    steps = Input((5, 3), name="steps")
    lstm = layers.LSTM(4, return_sequences=True, return_state=True, name="lstm")
    every, last, _ = lstm(steps)
    mean = layers.GlobalAveragePooling1D(name="mean")(every)
    model = Model(steps, layers.Dense(2, name="kind")(layers.Add(name="sum")([mean, last])))

    def values(x: Any) -> Values:
        outputs = lstm(x)
        mean = model.get_layer("mean")(outputs[0])
        total = mean + outputs[1]
        several = {"lstm": outputs[0], "lstm:0.1": outputs[1], "lstm:0.2": outputs[2]}
        return {"steps": x, **several, "mean": mean, "sum": total, "kind": model.get_layer("kind")(total)}

    return Example(model, values, {})


def odd() -> Example:
    """A name outside ASCII, a tensor of five axes an image, and one number an image."""
    picture = Input((8, 8, 1), name="層")
    inside = conv(4, "conv")
    axes = layers.Reshape((4, 4, 2, 2, 4), name="five_axes")
    flat = layers.Flatten(name="flat")(axes(inside(picture)))
    model = Model(picture, [flat, keras.ops.sum(flat, axis=1)])
    # Keras numbers it behind those that other tests of the process have made.
    total = model.operations[-1].name
    assert total.startswith("sum")

    def values(x: Any) -> Values:
        one = inside(x)
        five = axes(one)
        flat = model.get_layer("flat")(five)
        return {"層": x, "conv": one, "five_axes": five, "flat": flat, total: keras.ops.sum(flat, axis=1)}

    return Example(model, values, {"preprocessing": {"preset": "unit"}})


def subclassed(folder: Path) -> Example:
    """A subclassed model with a subclassed layer inside, both from a plugin that stands beside the model."""
    folder.mkdir(parents=True)
    (folder / "classes.py").write_text(PLUGIN)
    spec = importlib.util.spec_from_file_location("api_test_classes", folder / "classes.py")
    assert spec is not None
    assert spec.loader is not None
    classes = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(classes)
    model = classes.Classifier()
    model.build((None, 8, 8, 1))

    def values(x: Any) -> Values:
        stem = model.stem(x)
        inside, inside_again = (model.residual.conv(each) for each in (stem, -stem))
        total, total_again = stem + inside, inside_again - stem
        return {
            "input": x,
            "stem": stem,
            "residual/conv": inside,
            "residual/conv:1": inside_again,
            "residual": total,
            "residual:1": total_again,
            "pool": model.pool(total),
            "peak": model.peak(total_again),
        }

    return Example(model, values, {"plugins": ["classes.py"]})


def write_models(directory: Path) -> dict[str, Example]:
    """Write every example as `<name>/1`, `nested` also as version 2, and a file that is no model."""
    keras.utils.set_random_seed(7)
    examples = {
        "nested": nested(),
        "shared": shared(),
        "forked": forked(is_ladder=False),
        "ladder": forked(is_ladder=True),
        "pair": pair(),
        "any_size": any_size(),
        "sequence": sequence(),
        "odd": odd(),
        "2024": any_size(),
        "plugin": subclassed(directory / "plugin" / "1"),
    }
    for name, example in examples.items():
        labels = {"labels": ["stable"]} if name == "nested" else {}
        _write(directory / name / "1", example.model, {**example.declaration, **labels})
    _write(directory / "nested" / "2", nested().model, examples["nested"].declaration)
    (directory / "broken.keras").write_bytes(b"this is no model")
    return examples


def inputs_of(model: Model, batch: int) -> list[np.ndarray]:
    """Random numbers for each input; sizes that are free become 9 and 6."""
    shapes = [tensor.shape[1:] for tensor in model.inputs] if hasattr(model, "inputs") else [(8, 8, 1)]
    free = {0: 9, 1: 6}
    random = np.random.default_rng(11)
    sizes = [[free[axis] if size is None else size for axis, size in enumerate(shape)] for shape in shapes]
    return [random.normal(size=(batch, *each)).astype(np.float32) for each in sizes]


def _write(folder: Path, model: Model, declaration: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    model.save(folder / "model.keras")
    (folder / "layerscope.json").write_text(json.dumps(declaration), "utf-8")
