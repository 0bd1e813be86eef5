"""Memory and graphs that remain after many requests of many image sizes, on a model that takes images of any size.

Resident memory is that of the service and all its child processes, read after every thousand requests. The slope is a line
through the readings of the second half. Caches are small, so that filling them does not look like a leak.
"""

import gc
import tempfile
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from rich.progress import track
from rig.connection import Connection, activations_path
from rig.figures import Figure, ratio
from rig.load import Request, burst
from rig.models import save
from rig.paired import Way, compare
from rig.pictures import pictures
from rig.service import Service, serve

from layerscope.execution.inputs import ANY_INPUT, ImageSource
from layerscope.execution.interface import Query
from layerscope.execution.local_engine import LocalEngine

MODEL = "free"
REQUESTS = 20_000
SIZES = 500
CHUNK = 1_000
CALLERS = 4
SMALL = {"activation_cache_bytes": 1 << 20, "image_store_bytes": 1 << 20}
PATH = activations_path(MODEL, layers="all")


def measure() -> dict[str, Figure]:
    """The slope of memory, the number of graphs, and the time of a new image size."""
    with tempfile.TemporaryDirectory() as folder:
        save(_model(), Path(folder), MODEL)
        with serve(Path(folder), SMALL) as service:
            memory = _memory(service)
            second = _second_request(service)
        return {"memory": memory, "graphs": _graphs(Path(folder)), "new_size": second}


def _memory(service: Service) -> Figure:
    images = _images()
    megabytes = []
    for _ in track(range(REQUESTS // CHUNK), description="requests, by the thousand", transient=True):
        requests = [Request(PATH, image, "image/jpeg") for image in islice(images, CHUNK)]
        burst(service.address, [requests[number::CALLERS] for number in range(CALLERS)])
        megabytes.append(service.memory() / 1e6)
    half = megabytes[len(megabytes) // 2 :]
    slope = float(np.polyfit(range(len(half)), half, 1)[0])
    return Figure(
        what=f"growth of resident memory, {REQUESTS:,} requests over {SIZES} image sizes",
        against="nothing: it should not grow",
        value=slope,
        unit="MB per 1,000 requests",
        most=1,
        details={"megabytes": megabytes},
    )


def _second_request(service: Service) -> Figure:
    first, second = _images(seed=1), _images(seed=2)
    with Connection(service.address) as connection:
        pairs = compare(
            "the same size twice",
            Way.timed(lambda each: connection.post(PATH, each[1], "image/jpeg"), service.cpu),
            Way.timed(lambda each: connection.post(PATH, each[0], "image/jpeg"), service.cpu),
            list(zip(islice(first, SIZES), islice(second, SIZES), strict=True)),
        )
    return ratio(
        pairs,
        what="a second image of the size of the one before",
        against="the first, of a size without recent requests",
        unit="x the time",
    )


def _graphs(models: Path) -> Figure:
    """Growth of all graphs, counted in this process, because only here can the graphs be counted."""
    engine = LocalEngine(models)
    engine.load_all()
    images = list(islice(_images(), 2 * SIZES))
    _run(engine, images[:1])
    before = _graphs_alive()
    _run(engine, images)
    after = _graphs_alive()
    engine.close()
    return Figure(
        what=f"growth of all graphs in the process, {len(images):,} runs over {SIZES} image sizes",
        against="nothing: there should be no new trace, and no new plan",
        value=after - before,
        unit="graphs",
        most=0,
        details={"before": before, "after": after},
    )


def _run(engine: LocalEngine, images: Sequence[bytes]) -> None:
    for image in images:
        engine.run(Query(model=MODEL, sources={ANY_INPUT: [ImageSource(image)]}, layers=["all"]))


def _graphs_alive() -> int:
    gc.collect()
    return sum(isinstance(each, tf.Graph) for each in gc.get_objects())


def _images(seed: int = 0) -> Iterator[bytes]:
    """Images of `SIZES` sizes in turn, all of them different."""
    sides = [(16 + number % 100, 16 + number // 100 * 20) for number in range(SIZES)]
    files = [pictures(width, height, seed=seed + number) for number, (width, height) in enumerate(sides)]
    while True:
        for file in files:
            yield next(file)


def _model() -> keras.Model:
    image = keras.Input((None, None, 3))
    maps = image
    for number, filters in enumerate((8, 16, 16)):
        maps = keras.layers.Conv2D(filters, 3, activation="relu", padding="same", name=f"conv{number}")(maps)
    return keras.Model(image, keras.layers.GlobalAveragePooling2D()(maps))
