"""What the tests of the engine run: the demo model, a larger one, and one of free input size and two inputs."""

import io
import tempfile
from contextlib import contextmanager
from pathlib import Path

import keras
import numpy as np
from keras import layers
from PIL import Image

from layerscope.execution.inputs import ImageSource, TensorSource
from layerscope.execution.interface import Query
from layerscope.graph.loading.serialize import serialize
from layerscope.graph.model import assemble
from layerscope.graph.prepared.prepared_model import anonymous_file, read
from layerscope.graph.tracing.signature import signature_of
from layerscope.graph.tracing.trace import trace
from layerscope.models.directory import ModelSource
from layerscope.models.manifest import Manifest


def write_models(directory):
    keras.utils.set_random_seed(1)
    start = keras.Input((None, None, 3), name="start")
    hidden = layers.Conv2D(4, 3, activation="relu", name="conv")(start)
    keras.Model(start, layers.GlobalAveragePooling2D(name="pool")(hidden)).save(directory / "free.keras")
    picture, words = keras.Input((6, 6, 1), name="picture"), keras.Input((4,), dtype="int32", name="words")
    seen = layers.Flatten(name="flat")(layers.Conv2D(2, 3, name="conv")(picture))
    read = layers.Flatten(name="read")(layers.Embedding(10, 3, name="embedding")(words))
    keras.Model([picture, words], layers.Dense(2, name="both")(layers.Concatenate()([seen, read]))).save(
        directory / "pair.keras"
    )
    start = keras.Input((12, 12, 3), name="start")
    hidden = start
    for number in range(4):
        hidden = layers.Conv2D(8, 3, padding="same", activation="relu", name=f"conv{number}")(hidden)
    keras.Model(start, layers.Flatten(name="flat")(hidden)).save(directory / "plain.keras")


@contextmanager
def ready(model, *, exact=True):
    """A loaded model without a file."""
    with tempfile.TemporaryDirectory() as folder, anonymous_file() as file:
        serialize(file, trace(model, signature_of(model)), digest="", manifest=Manifest(), parameters=0)
        source = ModelSource("ready", 1, Path(folder, "model.keras"), Path(folder))
        loaded = assemble(source, read(file), plan_bytes=2**28, exact=exact)
    yield loaded
    loaded.close()


def tensor(*shape, seed=0):
    return np.random.default_rng(seed).random(shape, np.float32)


def png(height, width, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png")
    return file.getvalue()


def query(model, layers, *values, **options):
    sources = [ImageSource(each) if isinstance(each, bytes) else TensorSource(each) for each in values]
    return Query(model=model, sources={"image": sources}, layers=layers, **options)
