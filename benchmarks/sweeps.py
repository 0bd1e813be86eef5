"""Cost of a sweep: what each channel of an early layer of MobileNetV2 does for the output.

The sweep is asked for over HTTP, of a new image each time. It is measured against as many clean runs as it has channels, asked for
over HTTP, too, and against the loop that one writes with Keras: all layers are called one after the other, with the channel taken
away between. That loop is measured on some channels and stands for all.
"""

import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import Any

import keras
import numpy as np
from rig.connection import Connection, activations_path
from rig.figures import Figure, ratio
from rig.models import SIDE, mobilenet, save
from rig.paired import Way, compare
from rig.pictures import pictures
from rig.service import serve

MODEL, LAYER, CHANNELS = "mobilenetv2", "block_1_expand_relu", 96
"""The layer has 112x112 places."""

TURNS, WARM_UP = 25, 5
EAGER_TURNS, EAGER_CHANNELS = 7, 4

_MOST_RUNS, _LEAST_SPEED = 1.3, 8.0


def measure() -> dict[str, Figure]:
    """A sweep of all channels against clean runs and against Keras' layers called eagerly."""
    model = mobilenet()
    with tempfile.TemporaryDirectory() as folder:
        save(model, Path(folder), MODEL)
        with serve(Path(folder)) as service, Connection(service.address) as connection:
            path = f"/v1/models/{MODEL}/ablations?layer={LAYER}"
            clean_path = activations_path(MODEL, layers="outputs")

            def sweep(jpeg: bytes) -> float:
                return _timed(lambda: connection.post(path, jpeg, "image/jpeg")) / CHANNELS

            ours = Way(sweep, lambda: service.cpu() / CHANNELS)
            clean = Way.timed(lambda jpeg: connection.post(clean_path, jpeg, "image/jpeg"), service.cpu)
            new = pictures(SIDE, SIDE)
            what = f"one of the {CHANNELS} channels of {LAYER} (112x112) of MobileNetV2, in a sweep over HTTP"
            against_runs = compare("clean runs", ours, clean, islice(new, TURNS), warm_up=WARM_UP)
            eager = Way(
                lambda _: _timed(lambda: _loop(model)) / EAGER_CHANNELS,
                lambda: time.process_time() / EAGER_CHANNELS,
            )
            against_loop = compare("eager loop", ours, eager, islice(new, EAGER_TURNS), warm_up=1)
    return {
        "clean": ratio(
            against_runs,
            what=what,
            against="a clean run of a new image over HTTP",
            unit="x the time",
            most=_MOST_RUNS,
        ),
        "eager": ratio(
            against_loop,
            what=what,
            against="Keras' layers called one after the other with the channel taken away",
            unit="x as fast",
            least=_LEAST_SPEED,
        ),
    }


def _timed(call: Any) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def _loop(model: keras.Model) -> None:
    """Some channels taken away, one after the other."""
    image = np.random.default_rng(0).uniform(-1, 1, (1, SIDE, SIDE, 3)).astype(np.float32)
    for channel in range(EAGER_CHANNELS):
        kept = np.ones(CHANNELS, np.float32)
        kept[channel] = 0
        values = {id(model.input): image}
        for layer in model.layers[1:]:
            read = layer.input
            given = [values[id(each)] for each in read] if isinstance(read, list) else values[id(read)]
            value = layer(given)
            values[id(layer.output)] = value * kept if layer.name == LAYER else value
        np.asarray(values[id(model.output)])
