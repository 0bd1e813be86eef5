"""The snippet people paste, beside the two requests that replace it.

In process, as it is written everywhere: a new `Model` over the first eight layers, `predict`, and `matshow` of one
channel, for each image. Over HTTP: the same tensors as safetensors, the same picture as PNG. Every image is new, so
nothing comes from a cache, and the two take turns, so that a noisy machine is noisy for both.
"""

import io
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import keras
import matplotlib as mpl
import numpy as np
from matplotlib import pyplot
from PIL import Image
from rich.progress import track

mpl.use("Agg")

LAYERS = 8
CHANNEL = 1
PAIRS = 15
WARM_UP = 3


def compare(model: keras.Model, name: str, address: str, scale: float) -> dict[str, float]:
    """Median milliseconds of both ways and their ratios, pair by pair.

    Args:
        model: in this process.
        name: the same model's name in the service.
        address: where the service is.
        scale: what the model's preprocessing multiplies pixels by.
    """
    layer = _picture_layer(model)
    pictures = _images(model)
    times: dict[str, list[float]] = {"snippet": [], "http": [], "snippet_picture": [], "http_picture": []}
    with httpx2.Client(base_url=f"{address}/v1/models/{name}", timeout=60) as client:
        for number in track(range(WARM_UP + PAIRS), description=f"{name}: snippet and request in turn"):
            png = next(pictures)
            tensors, picture = _snippet(model, png, scale, layer), _requests(client, png, layer)
            if number >= WARM_UP:
                for key, seconds in zip(times, (tensors[0], picture[0], tensors[1], picture[1]), strict=True):
                    times[key].append(seconds * 1000)
    return _summary(times)


def _snippet(model: keras.Model, png: bytes, scale: float, layer: str) -> tuple[float, float]:
    started = time.perf_counter()
    image = np.asarray(Image.open(io.BytesIO(png)), np.float32) * scale
    batch = image.reshape(1, *model.input_shape[1:])
    inside = keras.Model(model.inputs, [each.output for each in model.layers[:LAYERS]])
    activations = inside.predict(batch, verbose=0)
    predicted = time.perf_counter()
    index = [each.name for each in model.layers].index(layer)
    pyplot.matshow(activations[index][0, :, :, CHANNEL], cmap="viridis")
    pyplot.savefig(io.BytesIO())
    pyplot.close()
    return predicted - started, time.perf_counter() - predicted


def _requests(client: httpx2.Client, png: bytes, layer: str) -> tuple[float, float]:
    headers = {"Content-Type": "image/png"}
    started = time.perf_counter()
    selected = {"layers": f"index:0..{LAYERS - 1}", "format": "safetensors"}
    client.post("/activations", params=selected, content=png, headers=headers).raise_for_status().read()
    answered = time.perf_counter()
    drawn = {"layer": layer, "channel": CHANNEL, "colormap": "viridis"}
    client.post("/feature-map.png", params=drawn, content=png, headers=headers).raise_for_status().read()
    return answered - started, time.perf_counter() - answered


def _picture_layer(model: keras.Model) -> str:
    """The first layer with a second channel to look at."""
    spatial = (each for each in model.layers[1:LAYERS] if len(each.output.shape) == 4)
    return str(next(each.name for each in spatial if each.output.shape[-1] > CHANNEL))


def _images(model: keras.Model) -> Iterator[bytes]:
    _, height, width, channels = model.input_shape
    random = np.random.default_rng(0)
    while True:
        coarse = random.integers(0, 256, (height // 4, width // 4, channels), np.uint8).squeeze()
        file = io.BytesIO()
        Image.fromarray(coarse).resize((width, height)).save(file, "PNG")
        yield file.getvalue()


def _summary(times: dict[str, list[float]]) -> dict[str, float]:
    def ratio(slow: str, fast: str) -> float:
        return statistics.median(a / b for a, b in zip(times[slow], times[fast], strict=True))

    medians = {f"{name}_ms": statistics.median(values) for name, values in times.items()}
    return {
        **medians,
        "tensors_ratio": ratio("snippet", "http"),
        "picture_ratio": ratio("snippet_picture", "http_picture"),
    }


def save(model: keras.Model, directory: Path, name: str, declaration: str) -> None:
    """Put a model into a model directory."""
    folder = directory / name / "1"
    folder.mkdir(parents=True)
    model.save(folder / "model.keras")
    (folder / "layerscope.json").write_text(declaration)
