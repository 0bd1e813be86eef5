"""Small architectures, and what is compared of them: the same network twice, or with one layer changed."""

from contextlib import ExitStack, closing
from pathlib import Path

import keras
import numpy as np
from keras import layers

from layerscope.execution.comparison_plan import ComparisonPlan
from layerscope.execution.comparison_query import ComparisonQuery
from layerscope.execution.comparison_run import ComparisonRun
from layerscope.execution.inputs import TensorSource
from layerscope.execution.lanes import Lanes
from layerscope.execution.working_memory import WorkingMemory
from layerscope.graph.loading.serialize import serialize
from layerscope.graph.model import assemble
from layerscope.graph.prepared.prepared_model import anonymous_file, read
from layerscope.graph.tracing.signature import signature_of
from layerscope.graph.tracing.trace import trace
from layerscope.limits import Limits
from layerscope.models.directory import ModelSource
from layerscope.models.manifest import Manifest

LIMITS = Limits()
SIDE = 8


def chain(filters=4, pool="pool"):
    """Convolutions, a normalization and a classifier."""
    return keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 3), name="image"),
            layers.Conv2D(filters, 3, name="conv1", padding="same"),
            layers.BatchNormalization(name="norm"),
            layers.ReLU(name="relu"),
            layers.DepthwiseConv2D(3, name="depthwise"),
            layers.GlobalAveragePooling2D(name=pool),
            layers.Dense(5, activation="softmax", name="scores"),
        ]
    )


def residual():
    """Two branches that meet, twice."""
    image = keras.Input((SIDE, SIDE, 3), name="image")
    hidden = layers.Conv2D(4, 3, padding="same", activation="relu", name="stem")(image)
    for number in range(2):
        left = layers.Conv2D(4, 3, padding="same", activation="swish", name=f"left{number}")(hidden)
        right = layers.Conv2D(4, 1, name=f"right{number}")(hidden)
        hidden = layers.Add(name=f"add{number}")([left, right, hidden])
    return keras.Model(image, layers.Flatten(name="flat")(hidden))


def nested():
    """A model in a model in a model."""
    inner = keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 4)),
            layers.Conv2D(4, 3, padding="same", name="conv"),
            layers.ReLU(name="relu"),
        ],
        name="inner",
    )
    start = keras.Input((SIDE, SIDE, 4))
    outer = keras.Model(start, layers.Conv2D(3, 1, name="end")(inner(start)), name="outer")
    image = keras.Input((SIDE, SIDE, 3), name="image")
    hidden = outer(layers.Conv2D(4, 3, padding="same", name="stem")(image))
    return keras.Model(image, layers.GlobalMaxPooling2D(name="pool")(hidden))


def shared():
    """A model that is called twice, one call on the other's values."""
    block = keras.Sequential(
        [keras.Input((SIDE, SIDE, 3)), layers.Conv2D(3, 3, padding="same", name="conv", activation="tanh")],
        name="block",
    )
    image = keras.Input((SIDE, SIDE, 3), name="image")
    first = block(layers.Conv2D(3, 1, name="stem")(image))
    return keras.Model(image, layers.Conv2D(2, 1, name="end")(block(first)))


def sequence():
    """Attention over rows, and a normalization."""
    image = keras.Input((SIDE, SIDE, 3), name="image")
    tokens = layers.Dense(8, name="embed")(layers.Reshape((SIDE, SIDE * 3), name="rows")(image))
    seen = layers.MultiHeadAttention(2, 4, name="attention")(tokens, tokens)
    hidden = layers.LayerNormalization(name="norm")(layers.Add(name="add")([tokens, seen]))
    return keras.Model(
        image, layers.Dense(4, activation="softmax", name="scores")(layers.Flatten(name="flat")(hidden))
    )


ARCHITECTURES = {each.__name__: each for each in (chain, residual, nested, shared, sequence)}


def built(architecture):
    """With weights that are the same each time, and no layer without effect."""
    keras.utils.set_random_seed(3)
    model = architecture()
    rng = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(rng.uniform(0.2, 0.6, weight.shape) * np.where(rng.random(weight.shape) < 0.3, -1, 1))
        if "variance" in weight.name or "gamma" in weight.name:
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
    return model


class Compared:
    """A network that was traced once. Its versions have the weights that it has when they are made."""

    def __init__(self, model):
        self.model = model
        self._trace = trace(model, signature_of(model))
        self._open = ExitStack()
        self.lanes = self._open.enter_context(closing(Lanes(LIMITS)))

    def version(self, name="net", **options):
        with anonymous_file() as file:
            serialize(file, self._trace, digest=name, manifest=Manifest(), parameters=0)
            source = ModelSource(name, 1, Path("model.keras"), Path())
            loaded = assemble(source, read(file), plan_bytes=2**26, rewrites=(), **options)
        self._open.callback(loaded.close)
        return loaded

    def compare(self, reference, candidate, images=4, **options):
        return compare(self.lanes, reference, candidate, images, **options)

    def close(self):
        self._open.close()


def pictures(count, seed=0):
    return np.random.default_rng(seed).random((count, SIDE, SIDE, 3), np.float32)


def compare(
    lanes,
    reference,
    candidate,
    images=4,
    *,
    limits=LIMITS,
    memory=None,
    values=None,
    inputs=None,
    run=None,
    **options,
):
    inputs = inputs or {"image": pictures(images) if values is None else values}
    sources = {name: [TensorSource(each)] for name, each in inputs.items()}
    query = ComparisonQuery(reference="a", candidate="b", sources=sources, **options)
    plan = ComparisonPlan(reference, candidate, query, limits)
    running = ComparisonRun(plan, limits, lanes, memory or WorkingMemory.of(limits))
    with running.run(**(run or {})) as found:
        return found
