"""Processor time of a request by part, which explains the figures above that have not reached their goal.

The whole is the time of the service's processes for a request. The parts are the service's own functions, called alone in
this process on the same images. The rest is HTTP, scheduling, checks, the copy into the socket, and the contention
between threads of Python and TensorFlow. A service around TensorFlow cannot reduce the share of the plan.
"""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from rig.connection import Connection, activations_path
from rig.figures import Figure
from rig.load import Request, burst
from rig.models import MIDDLE, SIDE, load, mobilenet, plan_call, save
from rig.pictures import pictures
from rig.service import Service, serve

from layerscope.graph.model import LoadedModel
from layerscope.graph.runtime.float16 import to_float16
from layerscope.images import decode
from layerscope.limits import Limits

MODEL = "mobilenetv2"
CALLERS = 16
REQUESTS = 256
TURNS = 40
WARM_UP = 8

Array = np.ndarray[Any, np.dtype[Any]]


def measure() -> dict[str, Figure]:
    """One layer of MobileNetV2 at sixteen callers, and all of its layers as float16."""
    images = pictures(SIDE, SIDE)
    with tempfile.TemporaryDirectory() as folder:
        save(mobilenet(), Path(folder), MODEL)
        model = load(Path(folder))
        one, every = plan_call(model, [MIDDLE]), plan_call(model, ["all"])
        tensors = [_tensor(model, jpeg)[None] for jpeg in islice(images, TURNS)]
        decoding = _cpu(lambda jpeg: _tensor(model, jpeg), list(islice(images, TURNS)))
        computed = [every(tensor) for tensor in tensors[:WARM_UP]]
        parts = {
            "middle": {"decode": decoding, "plan": _cpu(one, tensors)},
            "all": {
                "decode": decoding,
                "plan": _cpu(every, tensors),
                "float16": _cpu(
                    lambda arrays: [to_float16(each) for each in arrays], computed * (TURNS // WARM_UP)
                ),
            },
        }
        with serve(Path(folder)) as service:
            totals = {"middle": _at_once(service, images), "all": _one_by_one(service, images)}
    wholes = {"middle": f"{MIDDLE}, {CALLERS} callers", "all": "all layers as float16, one caller"}
    return {
        f"{name}_{part}": _share(part, milliseconds, wholes[name], totals[name])
        for name in parts
        for part, milliseconds in _with_rest(parts[name], totals[name]).items()
    }


def _tensor(model: LoadedModel, jpeg: bytes) -> Array:
    (preprocessing,) = model.description.preprocessing.values()
    if preprocessing is None:
        raise SystemExit("The model takes no images.")
    return preprocessing.apply(decode(jpeg, Limits()))


def _cpu(call: Callable[[Any], object], inputs: Sequence[Any]) -> float:
    """CPU milliseconds of this process for each call, after a few warm-up calls."""
    for each in inputs[:WARM_UP]:
        call(each)
    before = time.process_time()
    for each in inputs:
        call(each)
    return 1000 * (time.process_time() - before) / len(inputs)


def _at_once(service: Service, images: Iterator[bytes]) -> float:
    """CPU milliseconds of the service for each request, with all callers at once."""
    path = activations_path(MODEL, layers=MIDDLE)

    def ask() -> float:
        requests = [Request(path, jpeg, "image/jpeg") for jpeg in islice(images, REQUESTS)]
        before = service.cpu()
        burst(service.address, [requests[number::CALLERS] for number in range(CALLERS)])
        return 1000 * (service.cpu() - before) / REQUESTS

    ask()  # warms up
    return ask()


def _one_by_one(service: Service, images: Iterator[bytes]) -> float:
    """CPU milliseconds of the service for each request for all layers."""
    path = activations_path(MODEL, layers="all", dtype="float16")
    with Connection(service.address) as connection:
        for jpeg in islice(images, WARM_UP):
            connection.post(path, jpeg, "image/jpeg")
        before = service.cpu()
        for jpeg in islice(images, TURNS):
            connection.post(path, jpeg, "image/jpeg")
        return 1000 * (service.cpu() - before) / TURNS


def _with_rest(parts: dict[str, float], total: float) -> dict[str, float]:
    return {**parts, "rest": total - sum(parts.values())}


def _share(part: str, milliseconds: float, whole: str, total: float) -> Figure:
    return Figure(
        what=f"{_PARTS[part]}: {whole}",
        against="the CPU seconds of the service for the request",
        value=100 * milliseconds / total,
        unit="%",
        details={"milliseconds": milliseconds, "total_milliseconds": total},
    )


_PARTS = {
    "decode": "decoding the JPEG and preprocessing",
    "plan": "TensorFlow's run of the plan",
    "float16": "rounding to float16",
    "rest": "HTTP, scheduling, checks, encoding and sending",
}
