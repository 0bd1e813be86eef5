"""Small models of every kind of wiring and of output, each with its own eager way from the image to the scores."""

import importlib.util
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from layerscope.attribution import METHODS
from layerscope.execution.inputs import TensorSource
from layerscope.execution.interface import Attribution, Query
from layerscope.execution.local_engine import LocalEngine

SIDE = 12

PLUGIN = """
import keras


@keras.saving.register_keras_serializable("attribution_tests")
class Classifier(keras.Model):
    def __init__(self, **options):
        super().__init__(**options)
        self.stem = keras.layers.Conv2D(4, 3, activation="relu", name="stem")
        self.last = keras.layers.Conv2D(5, 3, activation="relu", name="last")
        self.pool = keras.layers.GlobalAveragePooling2D(name="pool")
        self.kind = keras.layers.Dense(3, name="kind")

    def build(self, shape):
        self.stem.build(shape)
        self.last.build((None, 10, 10, 4))
        self.kind.build((None, 5))
        self.built = True

    def call(self, values):
        return keras.ops.softmax(self.kind(self.pool(self.last(self.stem(values)))))
"""


@dataclass(frozen=True)
class Example:
    """A model, a layer of it, and the two ways that meet there.

    Attributes:
        before: from images to the layer's values.
        after: from the layer's values, and the images for what goes round the layer, to one score a class.
        form: what the scores are.
        options: what must be asked for to have these scores.
        classes: whether there are several classes to choose from.
    """

    model: keras.Model
    layer: str
    before: Callable[[Any], Any]
    after: Callable[[Any, Any], Any]
    form: str = "logits"
    options: dict[str, Any] = field(default_factory=dict)
    target: int = 1
    has_classes: bool = True
    channels: int = 3

    def scores(self, images):
        return self.after(self.before(images), images)[:, self.target]


@dataclass
class Explained:
    """An engine over the examples."""

    engine: LocalEngine
    examples: dict[str, Example]

    def __call__(self, model, method, images, **options) -> Attribution:
        sources = {"image": [TensorSource(np.asarray(images, np.float32))]}
        chosen = METHODS[method].options(**options)
        query = Query(model=model, sources=sources, methods={method: chosen})
        return self.engine.run(query).attribution(method)


def conv(filters, name, **options):
    return layers.Conv2D(filters, 3, activation="relu", bias_initializer="normal", name=name, **options)


def linear(dense, values):
    return tf.matmul(values, dense.kernel) + dense.bias


def picture(channels=3):
    return keras.Input((SIDE, SIDE, channels), name="picture")


def plain():
    start = picture()
    stem, last = conv(4, "stem"), conv(6, "last")
    middle = last(stem(start))
    kind = layers.Dense(3, activation="softmax", bias_initializer="normal", name="kind")
    model = keras.Model(start, kind(layers.GlobalAveragePooling2D(name="pool")(middle)))
    return Example(
        model, "last", lambda x: last(stem(x)), lambda a, _: linear(kind, tf.reduce_mean(a, (1, 2)))
    )


def skipping():
    """The layer has a way round it."""
    start = picture()
    stem, branch = conv(4, "stem", padding="same"), conv(4, "branch", padding="same")
    hidden = stem(start)
    added = layers.Add(name="add")([hidden, branch(hidden)])
    flat, kind = layers.Flatten(name="flat"), layers.Dense(3, name="kind")
    model = keras.Model(start, layers.Activation("softmax", name="chance")(kind(flat(added))))

    def after(values, images):
        return linear(kind, flat(values + stem(images)))

    return Example(model, "branch", lambda x: branch(stem(x)), after)


def nested():
    start = keras.Input((10, 10, 4))
    last = conv(5, "last")
    norm = layers.BatchNormalization(name="norm")
    backbone = keras.Model(start, norm(last(start)), name="backbone")
    norm.moving_mean.assign([0.1, -0.2, 0.3, 0, 0.1])
    start = picture()
    stem, kind = conv(4, "stem"), layers.Dense(3, name="kind")
    flat = layers.Flatten(name="flat")
    model = keras.Model(start, layers.Softmax(name="chance")(kind(flat(backbone(stem(start))))))
    return Example(
        model,
        "backbone/last",
        lambda x: last(stem(x)),
        lambda a, _: linear(kind, flat(norm(a, training=False))),
    )


def shared():
    """Both calls of one layer count; the second, on the image turned over, is the one explained, as the image lies."""
    start = picture()
    twice = conv(4, "twice")
    turned = layers.Permute((2, 1, 3), name="turn")
    joined = layers.Concatenate(name="both")
    kind, flat = layers.Dense(3, name="kind"), layers.Flatten(name="flat")
    model = keras.Model(start, kind(flat(joined([twice(start), twice(turned(start))]))))

    def after(values, images):
        return linear(kind, flat(tf.concat([twice(images), turned(values)], -1)))

    return Example(model, "twice:1", lambda x: turned(twice(turned(x))), after, form="output")


def several(name):
    """Three outputs: classes, one probability, a number."""
    start = picture()
    last = conv(5, "last")
    pooled = layers.GlobalMaxPooling2D(name="pool")(last(start))
    kind = layers.Dense(3, activation="softmax", name="kind")
    sure = layers.Dense(1, activation="sigmoid", name="sure")
    size = layers.Dense(1, name="size")
    model = keras.Model(start, {"kind": kind(pooled), "sure": sure(pooled), "size": size(pooled)})
    head = {"kind": kind, "sure": sure, "size": size}[name]

    def after(values, _):
        scores = linear(head, tf.reduce_max(values, (1, 2)))
        return tf.concat([-scores, scores], 1) if name == "sure" else scores

    return Example(
        model,
        "last",
        last,
        after,
        form="output" if name == "size" else "logits",
        options={"output": name},
        target=0 if name == "size" else 1,
        has_classes=name != "size",
    )


def labels():
    """Several probabilities that do not add up to one."""
    start = picture()
    last = conv(5, "last")
    label = layers.Dense(4, activation="sigmoid", name="label")
    model = keras.Model(start, label(layers.GlobalAveragePooling2D(name="pool")(last(start))))
    return Example(model, "last", last, lambda a, _: linear(label, tf.reduce_mean(a, (1, 2))))


def segments():
    """A class at every place."""
    start = picture()
    stem = conv(4, "stem", padding="same")
    head = layers.Conv2D(3, 1, activation="softmax", name="segments")
    model = keras.Model(start, head(layers.MaxPooling2D(name="pool")(stem(start))))
    pool = model.get_layer("pool")

    def after(values, _):
        logits = head.convolution_op(pool(values), head.kernel) + head.bias
        return tf.reduce_sum(logits, (1, 2))

    return Example(model, "stem", stem, after)


def hidden_softmax():
    """A softmax that the graph does not show as one."""
    start = picture()
    last, kind = conv(5, "last"), layers.Dense(3, name="kind")
    powers = keras.ops.exp(kind(layers.GlobalAveragePooling2D(name="pool")(last(start))))
    model = keras.Model(start, powers / keras.ops.sum(powers, axis=-1, keepdims=True))

    def after(values, _):
        return tf.nn.log_softmax(linear(kind, tf.reduce_mean(values, (1, 2))))

    return Example(model, "last", last, after, form="log")


def subclassed(folder):
    folder.mkdir(parents=True)
    (folder / "classes.py").write_text(PLUGIN)
    spec = importlib.util.spec_from_file_location("attribution_test_classes", folder / "classes.py")
    classes = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(classes)
    model = classes.Classifier()
    model.build((None, SIDE, SIDE, 3))
    return Example(
        model,
        "last",
        lambda x: model.last(model.stem(x)),
        lambda a, _: linear(model.kind, tf.reduce_mean(a, (1, 2))),
    )


def dead():
    """One channel is never active, one is the same everywhere."""
    example = plain()
    last = example.model.get_layer("last")
    kernel, bias = last.get_weights()
    kernel[..., 0], bias[0] = 0, -1
    kernel[..., 1], bias[1] = 0, 1
    last.set_weights([kernel, bias])
    return example


def poisoned():
    """One weight is NaN, and there is no rectifier behind it: those of oneDNN make zeros of NaN."""
    start = picture()
    stem, last = conv(4, "stem"), layers.Conv2D(6, 3, name="last")
    kind = layers.Dense(3, activation="softmax", name="kind")
    model = keras.Model(start, kind(layers.GlobalAveragePooling2D(name="pool")(last(stem(start)))))
    kernel, bias = last.get_weights()
    bias[2] = np.nan
    last.set_weights([kernel, bias])
    return Example(
        model, "last", lambda x: last(stem(x)), lambda a, _: linear(kind, tf.reduce_mean(a, (1, 2)))
    )


def point():
    """The last layer's maps have one place."""
    start = picture()
    stem, last = conv(4, "stem", strides=2), layers.Conv2D(6, 5, activation="relu", name="last")
    flat, kind = layers.Flatten(name="flat"), layers.Dense(3, activation="softmax", name="kind")
    model = keras.Model(start, kind(flat(last(stem(start)))))
    return Example(model, "last", lambda x: last(stem(x)), lambda a, _: linear(kind, flat(a)))


def certain():
    """A model that has no doubt at all."""
    example = plain()
    kind = example.model.get_layer("kind")
    kernel, bias = kind.get_weights()
    kind.set_weights([kernel * 3e4, bias])
    return example


def sure_of_it():
    """A model whose class 1 has a probability of 1 in float32, but not in float64."""
    example = plain()
    kind = example.model.get_layer("kind")
    kernel, bias = kind.get_weights()
    kind.set_weights([kernel, bias + np.array([0, 25, 0])])
    return example


def silent():
    """Nothing in the last layer is ever active."""
    example = plain()
    last = example.model.get_layer("last")
    kernel, bias = last.get_weights()
    last.set_weights([kernel * 0, bias * 0 - 1])
    return example


def branches():
    """Two outputs that come from different layers."""
    start = picture()
    near, far = conv(4, "near"), conv(4, "far")
    pools = [layers.GlobalMaxPooling2D(name=name)(each(start)) for name, each in (("a", near), ("b", far))]
    heads = [layers.Dense(3, name=name) for name in ("first", "second")]
    model = keras.Model(start, {head.name: head(pool) for head, pool in zip(heads, pools, strict=True)})
    return Example(model, "near", near, lambda a, _: a, options={"output": "second"})


def flat():
    start = keras.Input((5,), name="numbers")
    model = keras.Model(start, layers.Dense(3, name="kind")(start))
    return Example(model, "kind", lambda x: x, lambda a, _: a)


def matrix():
    start = keras.Input((6, 7), name="matrix")
    model = keras.Model(start, layers.Dense(3, name="kind")(layers.Flatten(name="flat")(start)))
    return Example(model, "flat", lambda x: x, lambda a, _: a)


def words():
    start = keras.Input((4, 4), dtype="int32", name="words")
    read = layers.Flatten(name="flat")(layers.Embedding(5, 2, name="embedding")(start))
    return Example(
        keras.Model(start, layers.Dense(3, name="kind")(read)), "flat", lambda x: x, lambda a, _: a
    )


def rounding():
    start = picture()
    last = conv(4, "last")
    chosen = keras.ops.argmax(layers.GlobalAveragePooling2D(name="pool")(last(start)), axis=-1)
    return Example(keras.Model(start, chosen), "last", last, lambda a, _: a)


def smooth():
    """Without a rectifier anywhere."""
    start = picture()
    last = layers.Conv2D(4, 3, activation="tanh", name="last")
    kind = layers.Dense(3, activation="softmax", name="kind")
    model = keras.Model(start, kind(layers.GlobalAveragePooling2D(name="pool")(last(start))))
    return Example(model, "last", last, lambda a, _: linear(kind, tf.reduce_mean(a, (1, 2))))


def pair():
    """A picture and some numbers."""
    start, numbers = picture(), keras.Input((2,), name="numbers")
    last, kind = conv(4, "last"), layers.Dense(3, activation="softmax", name="kind")
    seen = layers.GlobalAveragePooling2D(name="pool")(last(start))
    model = keras.Model([start, numbers], kind(layers.Concatenate(name="both")([seen, numbers])))
    return Example(model, "last", last, lambda a, _: a)


def any_size():
    start = keras.Input((None, None, 3), name="picture")
    last, kind = conv(4, "last"), layers.Dense(3, activation="softmax", name="kind")
    model = keras.Model(start, kind(layers.GlobalAveragePooling2D(name="pool")(last(start))))
    return Example(model, "last", last, lambda a, _: linear(kind, tf.reduce_mean(a, (1, 2))))


def write_models(directory):
    """Write every example as `<name>/1`, and return them by name."""
    keras.utils.set_random_seed(5)
    examples = {
        "plain": plain(),
        "skipping": skipping(),
        "nested": nested(),
        "shared": shared(),
        "several": several("kind"),
        "sure": several("sure"),
        "size": several("size"),
        "labels": labels(),
        "segments": segments(),
        "hidden_softmax": hidden_softmax(),
        "subclassed": subclassed(directory / "subclassed" / "1"),
        "dead": dead(),
        "poisoned": poisoned(),
        "point": point(),
        "smooth": smooth(),
        "pair": pair(),
        "certain": certain(),
        "sure_of_it": sure_of_it(),
        "silent": silent(),
        "branches": branches(),
        "flat": flat(),
        "matrix": matrix(),
        "words": words(),
        "rounding": rounding(),
        "any_size": any_size(),
    }
    for name, example in examples.items():
        folder = directory / name / "1"
        folder.mkdir(parents=True, exist_ok=True)
        example.model.save(folder / "model.keras")
        declaration = {"preprocessing": {"preset": "signed"}, "classes": ["cat", "dog", "cup"]}
        if name == "sure":
            declaration["classes"] = ["no", "yes"]
        if name == "subclassed":
            declaration["plugins"] = ["classes.py"]
        (folder / "layerscope.json").write_text(json.dumps(declaration), "utf-8")
    return examples
