"""Time that one caller waits, beside the time that TensorFlow and Keras need for the same in process.

The bare session call is TensorFlow's own, on the graph as it was traced and on an image decoded with Pillow. The plan of
the service is faster, because it fuses more; the comparison with the bare plan shows the cost of HTTP, scheduling and
checks. One connection is kept open. Every image is a different JPEG.
"""

import tempfile
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import keras
import numpy as np
import safetensors.numpy
from rig.connection import Connection, activations_path, feature_map_path
from rig.figures import Figure, ratio
from rig.models import MIDDLE, SIDE, bare_call, decode, load, mobilenet, plan_call, save
from rig.paired import Way, compare
from rig.pictures import pictures
from rig.service import Service, serve

from layerscope_client import Client

MODEL = "mobilenetv2"
FAST_TURNS = 205
SLOW_TURNS = 25

Array = np.ndarray[Any, np.dtype[Any]]
Ask = Callable[[str], Way]
Call = Callable[[Array], list[Array]]


def measure() -> dict[str, Figure]:
    """One layer and all layers of MobileNetV2, and a picture of a layer."""
    model = mobilenet()
    with tempfile.TemporaryDirectory() as folder:
        save(model, Path(folder), MODEL)
        loaded = load(Path(folder))
        bare, plan = bare_call(loaded, [MIDDLE]), plan_call(loaded, [MIDDLE])
        with serve(Path(folder)) as service, Connection(service.address) as connection:

            def ask(path: str) -> Way:
                return Way.timed(lambda jpeg: connection.post(path, jpeg, "image/jpeg"), service.cpu)

            return {
                **_against_session(ask, service, bare, plan),
                **_against_keras(ask, model),
                "cached_grid": _cached_grid(connection, service),
            }


def _against_session(ask: Ask, service: Service, bare: Call, plan: Call) -> dict[str, Figure]:
    images = _images()
    one_layer = activations_path(MODEL, layers=MIDDLE)
    what = f"{MIDDLE} of MobileNetV2 over HTTP, JPEG in, safetensors out"
    call = Way.timed(lambda jpeg: bare(decode(jpeg)[None]))
    encoded = Way.timed(lambda jpeg: safetensors.numpy.save({MIDDLE: plan(decode(jpeg)[None])[0]}))
    with Client(service.address) as scope:
        through = scope.model(MODEL)
        client = Way.timed(lambda jpeg: through.activations(jpeg, layers=[MIDDLE])[MIDDLE].sum(), service.cpu)
        return {
            "middle_session": ratio(
                compare("bare session call", ask(one_layer), call, islice(images, FAST_TURNS)),
                what=what,
                against="JPEG decode and the bare session call",
                unit="x the time",
                most=1.2,
            ),
            "middle_plan": ratio(
                compare("bare plan, encoded", ask(one_layer), encoded, islice(images, FAST_TURNS)),
                what=what,
                against="JPEG decode, the service's own plan called bare, and bare encoding",
                unit="x the time",
            ),
            "middle_client": ratio(
                compare("Python client", client, call, islice(images, FAST_TURNS)),
                what=f"{MIDDLE} of MobileNetV2 with the Python client, which stores the image first",
                against="JPEG decode and the bare session call",
                unit="x the time",
            ),
        }


def _against_keras(ask: Ask, model: keras.Model) -> dict[str, Figure]:
    images = _images(seed=1)
    one_layer = ask(activations_path(MODEL, layers=MIDDLE))
    all_layers = ask(activations_path(MODEL, layers="all", dtype="float16"))
    one = keras.Model(model.inputs, model.get_layer(MIDDLE).output)
    every = keras.Model(model.inputs, [each.output for each in model.layers])

    def snippet(jpeg: bytes) -> object:
        inside = keras.Model(model.inputs, model.get_layer(MIDDLE).output)
        return inside.predict(decode(jpeg)[None], verbose=0)

    return {
        "middle_snippet": ratio(
            compare("seed snippet", one_layer, Way.timed(snippet), islice(images, SLOW_TURNS)),
            what=f"{MIDDLE} of MobileNetV2 over HTTP",
            against="the usual snippet: a new Model over it and predict, for each image",
            unit="x as fast",
            least=10,
        ),
        "middle_predict": ratio(
            compare("predict", one_layer, _predict(one), islice(images, SLOW_TURNS)),
            what=f"{MIDDLE} of MobileNetV2 over HTTP",
            against="predict on a Model over it that was built once",
            unit="x as fast",
        ),
        "all_predict": ratio(
            compare("predict, all layers", all_layers, _predict(every), islice(images, SLOW_TURNS)),
            what=f"all {len(model.layers)} layers of MobileNetV2 over HTTP as float16",
            against="predict on a Model over all of them that was built once",
            unit="x as fast",
            least=2.5,
        ),
    }


def _cached_grid(connection: Connection, service: Service) -> Figure:
    """The second request has another colormap, so that the picture is drawn again."""
    first, second = (feature_map_path(MODEL, layer=MIDDLE, colormap=name) for name in ("viridis", "magma"))
    pairs = compare(
        "grid of a cached layer",
        Way.timed(lambda jpeg: connection.post(second, jpeg, "image/jpeg"), service.cpu),
        Way.timed(lambda jpeg: connection.post(first, jpeg, "image/jpeg"), service.cpu),
        islice(_images(seed=2), SLOW_TURNS * 3),
    )
    return ratio(
        pairs,
        what=f"a grid of all channels of {MIDDLE} as PNG, the layer being cached",
        against="the first request for it",
        unit="x the time",
        most=0.35,
    )


def _predict(model: keras.Model) -> Way:
    return Way.timed(lambda jpeg: model.predict(decode(jpeg)[None], verbose=0))


def _images(seed: int = 0) -> Iterator[bytes]:
    return pictures(SIDE, SIDE, seed=seed)
