"""Models under measurement, and the bare way to run one with TensorFlow alone."""

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

from layerscope.execution.local_engine import LocalEngine
from layerscope.graph.model import LoadedModel

MIDDLE = "block_6_expand_relu"
"""A layer in the middle of MobileNetV2: 28x28 pixels, 192 channels, 0.6 MB."""

SIDE = 224
"""The side of MobileNetV2's images, in pixels."""

Array = np.ndarray[Any, np.dtype[Any]]


def mobilenet(**options: Any) -> keras.Model:
    """MobileNetV2 with random weights, so that nothing is downloaded, and activations as large as in a trained model.

    Batch normalization takes its statistics from random images for that. Otherwise activations shrink from layer to layer,
    to numbers that are slow to convert.
    """
    model = keras.applications.MobileNetV2(weights=None, **options)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    model(np.random.default_rng(0).uniform(-1, 1, (8, SIDE, SIDE, 3)), training=True)
    return model


def save(model: keras.Model, directory: Path, name: str, preset: str = "signed") -> None:
    """Put a model into a model directory.

    Args:
        model: what is served.
        directory: the model directory.
        name: what it is served as.
        preset: its preprocessing; see `docs/reference/options.md`.
    """
    folder = directory / name / "1"
    folder.mkdir(parents=True)
    model.save(folder / "model.keras")
    (folder / "layerscope.json").write_text(json.dumps({"preprocessing": {"preset": preset}}))


def load(directory: Path) -> LoadedModel:
    """Load the one model of a model directory into this process, as the service does."""
    engine = LocalEngine(directory)
    engine.load_all()
    (entry,) = engine.models.registry.entries()
    if entry.model is None:
        raise SystemExit(entry.reason)
    return entry.model


def decode(data: bytes) -> Array:
    """Image in the range -1 to 1, as the preset "signed" makes it, in the usual code: (height, width, channels)."""
    return np.atleast_3d(np.asarray(Image.open(io.BytesIO(data)), np.float32) / 127.5 - 1)


def bare_call(model: LoadedModel, selectors: Sequence[str]) -> Callable[[Array], list[Array]]:
    """Callable of a TensorFlow session for some layers of the graph as it was traced, without copies.

    Args:
        model: a model with one input.
        selectors: the layers to fetch.

    Returns:
        A function of a batch, (batch, *input shape), to one array a layer.
    """
    # Below what the project offers.
    plans = model.executable.plans
    compiler, inputs = plans._compiler, list(plans._placeholders)  # noqa: SLF001
    fetched = [tap.tensor.name for tap in model.description.taps.select(selectors)]
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(compiler.parts.needed_for([*inputs, *fetched]), name="")
        assignments = compiler.weights.assignments_in(graph)
    session = tf.compat.v1.Session(graph=graph)
    compiler.weights.assign(session, assignments)
    call: Callable[[Array], list[Array]] = session.make_callable(fetched, inputs)
    return call


def plan_call(model: LoadedModel, selectors: Sequence[str]) -> Callable[[Array], list[Array]]:
    """The same with the plan that the service would compile, without the service."""
    taps = model.description.taps.select(selectors)
    plan = model.executable.plans.for_run(taps, {}, [each.shape for each in model.executable.inputs])
    return lambda batch: plan([batch])
