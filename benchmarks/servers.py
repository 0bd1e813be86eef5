"""Other model servers: LitServe and MLServer, with a model that exports one layer.

Both have a prebuilt function with a fixed signature for this layer, their batching on, and the settings that were fastest
here; Layerscope takes the layer from the request. The same generator loads all three in turn with sixteen callers, over
connections that are kept open, each time with other images. It first checks that all answer the same numbers.
"""

import base64
import json
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
import safetensors.numpy
from rig.connection import Connection, activations_path
from rig.figures import Figure, ratio
from rig.load import Load, Request, burst
from rig.models import MIDDLE, SIDE, mobilenet, save
from rig.paired import Way, compare
from rig.peers import PEERS, server
from rig.pictures import pictures
from rig.processes import free_port
from rig.service import serve

MODEL = "mobilenetv2"
CALLERS = 16
REQUESTS = 8
TURNS = 9
WARM_UP = 2


@dataclass(frozen=True)
class Contender:
    """A server: its address, its request for an image, and the reader of its answer."""

    address: str
    cpu: Callable[[], float]
    ask: Callable[[bytes], Request]
    read: Callable[[bytes], bytes]
    loads: list[Load] = field(default_factory=list)

    def run(self, images: Sequence[bytes]) -> float:
        """Send all images at once, and return the seconds it took."""
        requests = [self.ask(image) for image in images]
        load = burst(self.address, [requests[number::CALLERS] for number in range(CALLERS)])
        self.loads.append(load)
        return load.seconds

    def values(self, image: bytes) -> "np.ndarray[tuple[int], np.dtype[np.float32]]":
        """The layer's values for one image."""
        request = self.ask(image)
        with Connection(self.address) as connection:
            answer = connection.post(request.path, request.body, request.content_type)
        return np.frombuffer(self.read(bytes(answer)), np.float32)

    def generator(self) -> float:
        """How much of one processor the load generator took."""
        return statistics.median(load.cpu / load.seconds for load in self.loads)


def measure() -> dict[str, Figure]:
    """The same layer of MobileNetV2 from a JPEG, at sixteen callers."""
    images = pictures(SIDE, SIDE)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as running:
        save(mobilenet(), Path(folder), MODEL)
        file = Path(folder, MODEL, "1", "model.keras")
        ours = running.enter_context(_layerscope(Path(folder)))
        peers = {
            "LitServe": (running.enter_context(_litserve(file)), 1.5),
            "MLServer": (running.enter_context(_mlserver(file)), 5.0),
        }
        image = next(images)
        for theirs, _ in peers.values():
            np.testing.assert_allclose(theirs.values(image), ours.values(image), rtol=1e-3, atol=1e-4)
        return {
            name.lower(): _compare(name, ours, theirs, least, images)
            for name, (theirs, least) in peers.items()
        }


def _compare(name: str, ours: Contender, theirs: Contender, least: float, images: Iterator[bytes]) -> Figure:
    pairs = compare(
        name,
        Way(ours.run, ours.cpu),
        Way(theirs.run, theirs.cpu),
        (list(islice(images, CALLERS * REQUESTS)) for _ in range(TURNS + WARM_UP)),
        warm_up=WARM_UP,
    )
    return ratio(
        pairs,
        what=f"{MIDDLE} of MobileNetV2 from a JPEG, {CALLERS} callers",
        against=name,
        unit="x the throughput",
        least=least,
        requests=CALLERS * REQUESTS,
        generator_processors=ours.generator(),
        generator_processors_theirs=theirs.generator(),
    )


@contextmanager
def _layerscope(models: Path) -> Iterator[Contender]:
    path = activations_path(MODEL, layers=MIDDLE)
    with serve(models) as service:
        yield Contender(
            service.address,
            service.cpu,
            lambda image: Request(path, image, "image/jpeg"),
            lambda answer: safetensors.numpy.load(answer)[MIDDLE].tobytes(),
        )


@contextmanager
def _litserve(file: Path) -> Iterator[Contender]:
    port = free_port()
    command = ["python", str(PEERS / "litserve_server.py"), str(file), MIDDLE, str(port)]
    with server("litserve", command, port) as running:
        yield Contender(running.address, running.cpu, _litserve_request, lambda answer: answer)


def _litserve_request(image: bytes) -> Request:
    body = json.dumps({"image": base64.b64encode(image).decode()})
    return Request("/predict", body.encode(), "application/json")


@contextmanager
def _mlserver(file: Path) -> Iterator[Contender]:
    port = free_port()
    settings = {
        "host": "127.0.0.1",
        "http_port": port,
        "grpc_port": free_port(),
        "metrics_port": free_port(),
        "parallel_workers": 0,
        "gzip_enabled": False,
        "debug": False,
    }
    model = {
        "name": "activations",
        "implementation": "mlserver_model.Activations",
        "max_batch_size": CALLERS,
        "max_batch_time": 0.002,
        "parameters": {"uri": str(file), "extra": {"layer": MIDDLE}},
    }
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "settings.json").write_text(json.dumps(settings))
        Path(folder, "model-settings.json").write_text(json.dumps(model))
        command = ["mlserver", "start", folder]
        with server("mlserver", command, port, {"PYTHONPATH": str(PEERS)}) as running:
            yield Contender(running.address, running.cpu, _mlserver_request, _mlserver_values)


def _mlserver_request(image: bytes) -> Request:
    tensor = {
        "name": "image",
        "shape": [1, 1],
        "datatype": "BYTES",
        "parameters": {"content_type": "base64"},
        "data": [base64.b64encode(image).decode()],
    }
    body = json.dumps({"inputs": [tensor]})
    return Request("/v2/models/activations/infer", body.encode(), "application/json")


def _mlserver_values(answer: bytes) -> bytes:
    return base64.b64decode(json.loads(answer)["outputs"][0]["data"][0])
