"""The usual snippet in process, beside the requests over HTTP that replace it.

The snippet is the one of many tutorials: a new `Model` over the first eight layers, `predict`, and `matshow` of one
channel, for each image. Over HTTP: the same tensors as safetensors, the same picture as PNG.
"""

import io
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import keras
import matplotlib as mpl
import numpy as np
from matplotlib import pyplot
from PIL import Image
from rig.connection import Connection, activations_path, feature_map_path
from rig.figures import Figure, ratio
from rig.models import mobilenet, save
from rig.paired import Way, compare
from rig.pictures import pictures
from rig.service import Service, serve

from layerscope import demo

mpl.use("Agg")

LAYERS = 8
CHANNEL = 1
TURNS = 20

Array = np.ndarray[Any, np.dtype[Any]]


def measure() -> dict[str, Figure]:
    """The demo model and MobileNetV2, tensors and a picture each."""
    models = {
        "digits": keras.models.load_model(demo.MODELS / "digits" / "1" / "model.keras", compile=False),
        "mobilenetv2": mobilenet(),
    }
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, model in models.items():
            save(model, Path(folder), name, "unit")
        with serve(Path(folder)) as service:
            for name, model in models.items():
                figures[f"{name}_tensors"] = _tensors(model, name, service)
                figures[f"{name}_picture"] = _picture(model, name, service)
    return figures


def _tensors(model: keras.Model, name: str, service: Service) -> Figure:
    path = activations_path(name, layers=f"index:0..{LAYERS - 1}")
    with Connection(service.address) as connection:
        pairs = compare(
            f"{name}, {LAYERS} layers",
            Way.timed(lambda png: connection.post(path, png, "image/png"), service.cpu),
            Way.timed(lambda png: _snippet(model, png)),
            islice(_images(model, seed=0), TURNS),
        )
    return ratio(
        pairs,
        what=f"the first {LAYERS} layers of {name} over HTTP, as safetensors",
        against="a new Model over them and predict, for each image",
        unit="x as fast",
    )


def _picture(model: keras.Model, name: str, service: Service) -> Figure:
    layer = _picture_layer(model)
    path = feature_map_path(name, layer=layer, channel=CHANNEL, colormap="viridis")
    index = [each.name for each in model.layers].index(layer)
    # Of an image the service has just run all the layers of, as the snippet draws what it has just predicted.
    before = activations_path(name, layers=f"index:0..{LAYERS - 1}")
    with Connection(service.address) as connection:

        def run(each: tuple[bytes, Array]) -> memoryview:
            return connection.post(path, each[0], "image/png")

        inputs = []
        for png in islice(_images(model, seed=1), TURNS):
            connection.post(before, png, "image/png")
            inputs.append((png, _snippet(model, png)[index]))
        pairs = compare(
            f"{name}, a picture",
            Way.timed(run, service.cpu),
            Way.timed(lambda each: _matshow(each[1])),
            inputs,
        )
    return ratio(
        pairs,
        what=f"one channel of {layer} of {name} as PNG over HTTP, the layer being cached",
        against="matshow and savefig of the array",
        unit="x as fast",
    )


def _snippet(model: keras.Model, png: bytes) -> list[Array]:
    image = np.asarray(Image.open(io.BytesIO(png)), np.float32) / 255
    inside = keras.Model(model.inputs, [each.output for each in model.layers[:LAYERS]])
    activations: list[Array] = inside.predict(image.reshape(1, *model.input_shape[1:]), verbose=0)
    return activations


def _matshow(activation: Array) -> None:
    pyplot.matshow(activation[0, :, :, CHANNEL], cmap="viridis")
    pyplot.savefig(io.BytesIO())
    pyplot.close()


def _picture_layer(model: keras.Model) -> str:
    """The first layer with a second channel to look at."""
    spatial = (each for each in model.layers[1:LAYERS] if len(each.output.shape) == 4)
    return str(next(each.name for each in spatial if each.output.shape[-1] > CHANNEL))


def _images(model: keras.Model, seed: int) -> Iterator[bytes]:
    _, height, width, channels = model.input_shape
    return pictures(width, height, channels=channels, file_format="PNG", seed=seed)
