"""Throughput of sixteen callers, each with another layer, beside the best loop over the bare session.

The loop has all images at hand and sends no answers. It decodes, stacks and runs them with the batch size, the number of
threads and the choice of fetches (all sixteen layers of every image, or only the requested one) that are fastest on this
machine. The callers are another process, whose processor time counts against the service.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from rig.connection import activations_path
from rig.figures import Figure, ratio
from rig.load import Load, Request, burst
from rig.models import SIDE, bare_call, decode, load, mobilenet, save
from rig.paired import Way, compare
from rig.pictures import pictures
from rig.service import Service, serve

from layerscope.graph.model import LoadedModel

MODEL = "mobilenetv2"
CALLERS = 16
REQUESTS = 8
TURNS = 9
WARM_UP = 2
BATCHES = (1, 2, 4, 8, 16)

Array = np.ndarray[Any, np.dtype[Any]]
Loop = Callable[[Sequence[bytes]], None]


def measure() -> dict[str, Figure]:
    """Sixteen callers with one layer each."""
    with tempfile.TemporaryDirectory() as folder:
        save(mobilenet(), Path(folder), MODEL)
        model = load(Path(folder))
        images = pictures(SIDE, SIDE)
        layers = _spread(model)
        name, loop = _best_loop(model, layers, list(islice(images, CALLERS * 2)))
        with serve(Path(folder)) as service:
            callers = Callers(service, layers)
            pairs = compare(
                "sixteen callers",
                Way(callers.run, service.cpu),
                Way.timed(loop),
                (list(islice(images, CALLERS * REQUESTS)) for _ in range(TURNS + WARM_UP)),
                warm_up=WARM_UP,
            )
    return {
        "different_layers": ratio(
            pairs,
            what=f"{CALLERS} callers over HTTP, one layer of MobileNetV2 each, different layers",
            against=f"the best loop over the session, images decoded in it: {name}",
            unit="x the throughput",
            least=0.9,
            requests=CALLERS * REQUESTS,
            **callers.details(),
        )
    }


@dataclass
class Callers:
    """Sixteen callers, each with another layer, and the generator's result of each burst."""

    service: Service
    layers: Sequence[str]
    loads: list[Load] = field(default_factory=list)

    def run(self, images: Sequence[bytes]) -> float:
        """Send all images and return the seconds it took."""
        paths = [activations_path(MODEL, layers=layer) for layer in self.layers]
        shares = [images[number::CALLERS] for number in range(CALLERS)]
        load = burst(
            self.service.address,
            [
                [Request(path, image, "image/jpeg") for image in share]
                for path, share in zip(paths, shares, strict=True)
            ],
        )
        self.loads.append(load)
        return load.seconds

    def details(self) -> dict[str, float]:
        """Waiting time of a caller, and the generator's share of one processor."""
        latencies = [seconds for load in self.loads[WARM_UP:] for seconds in load.latencies]
        percentiles = statistics.quantiles(latencies, n=20)
        return {
            "median_latency_ms": 1000 * percentiles[9],
            "p95_latency_ms": 1000 * percentiles[18],
            "generator_processors": statistics.median(load.cpu / load.seconds for load in self.loads),
        }


def _spread(model: LoadedModel) -> list[str]:
    """Layers from the whole depth of the model."""
    outputs = model.description.taps.outputs()[1:-1]
    places = np.linspace(0, len(outputs) - 1, CALLERS).astype(int)
    return [outputs[place].address for place in places]


def _best_loop(model: LoadedModel, layers: list[str], images: Sequence[bytes]) -> tuple[str, Loop]:
    """The fastest loop of all, by name: each is tried twice, and the better time counts."""
    times = {}
    for name, loop in _loops(model, layers):
        loop(images)
        times[name] = min(_seconds(loop, images) for _ in range(2)), loop
    best = min(times, key=lambda name: times[name][0])
    return best, times[best][1]


def _loops(model: LoadedModel, layers: list[str]) -> Iterator[tuple[str, Loop]]:
    union = bare_call(model, layers)
    singles = [bare_call(model, [layer]) for layer in layers]
    for threads in (1, 2):
        for rows in BATCHES:
            yield (
                f"all layers of {rows} images at once, {threads} threads",
                _loop(rows, threads, lambda _, batch: union(batch)),
            )
        yield (
            f"one layer of one image, {threads} threads",
            _loop(1, threads, lambda number, batch: singles[number % CALLERS](batch)),
        )


def _loop(rows: int, threads: int, run: Callable[[int, Array], object]) -> Loop:
    def each(numbered: tuple[int, tuple[bytes, ...]]) -> None:
        number, files = numbered
        run(number, np.stack([decode(file) for file in files]))

    def loop(images: Sequence[bytes]) -> None:
        with ThreadPoolExecutor(threads) as pool:
            batches = [tuple(images[first : first + rows]) for first in range(0, len(images), rows)]
            list(pool.map(each, enumerate(batches)))

    return loop


def _seconds(loop: Loop, images: Sequence[bytes]) -> float:
    started = time.perf_counter()
    loop(images)
    return time.perf_counter() - started
