"""Time of a request as the request grows, beside the bare session call on the same decoded images.

Each curve is one table below; the figure in the first table is its last point. Limits are raised where a curve exceeds
them.
"""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import keras
import numpy as np
from rig.connection import FORM, Connection, activations_path, form_of
from rig.figures import Figure, ratio
from rig.load import Request, burst
from rig.models import MIDDLE, SIDE, bare_call, decode, load, mobilenet, save
from rig.paired import Pairs, Way, compare
from rig.pictures import pictures
from rig.service import Service, serve

MODEL = "model"
WARM_UP = 2
TURNS = 9
REQUESTS = 64

LAYERS = (1, 2, 4, 8, 16, 32, 64, 128, 156)
SIDES = (64, 128, 256, 512, 1024)
IMAGES = (1, 2, 4, 8, 16, 32, 64)
CALLERS = (2, 4, 8, 16, 32, 64)
MODELS = (2, 5, 10)
PAYLOAD_SIDES = (4, 13, 40, 125, 400, 1250, 1768)
"""Sides of images whose 16 channels of float32 are 1 KB, 10 KB, 100 KB, 1 MB, 10 MB, 100 MB and 200 MB."""

RAISED = {
    "run_bytes": 4 << 30,
    "response_bytes": 4 << 30,
    "body_bytes": 1 << 30,
    "pending_requests": 256,
    "deadline_milliseconds": 120_000,
}

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass
class Curve:
    """Comparisons along one axis of growth."""

    axis: str
    points: list[tuple[float, Figure]] = field(default_factory=list)

    def add(self, x: float, pairs: Pairs, **options: Any) -> None:
        """Add a point; `options` are those of `rig.figures.ratio`."""
        self.points.append((x, ratio(pairs, **options)))

    def figure(self) -> Figure:
        """Figure of the last point, with all points in its details."""
        last = self.points[-1][1]
        columns = {
            self.axis: [x for x, _ in self.points],
            "ours_ms": [each.details["ours_ms"] for _, each in self.points],
            "theirs_ms": [each.details["theirs_ms"] for _, each in self.points],
            last.unit: [each.value for _, each in self.points],
        }
        last.details["curve"] = columns
        return last


def measure() -> dict[str, Figure]:
    """Layers, image size, images in a request, bytes of the answer, callers, and models loaded."""
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        save(mobilenet(), root / "fixed", MODEL)
        save(mobilenet(include_top=False, input_shape=(None, None, 3)), root / "free", MODEL)
        save(_payload_model(), root / "payload", MODEL)
        with serve(root / "fixed", RAISED) as service:
            figures["layers"] = _layers(service, root / "fixed").figure()
            figures["images"] = _images(service, root / "fixed").figure()
            figures["callers"] = _callers(service).figure()
        with serve(root / "free", RAISED) as service:
            figures["image_size"] = _image_size(service, root / "free").figure()
        with serve(root / "payload", RAISED) as service:
            figures["payload"] = _payload(service, root / "payload").figure()
        figures["models"] = _models(root).figure()
    return figures


def _layers(service: Service, models: Path) -> Curve:
    curve = Curve("layers")
    model = load(models)
    for layers in LAYERS:
        selector = f"index:0..{layers - 1}"
        ours = _request_way(service, activations_path(MODEL, layers=selector))
        theirs = _decoded(bare_call(model, [selector]))
        pairs = compare(f"{layers} layers", ours, theirs, _jpegs(SIDE), warm_up=WARM_UP)
        curve.add(
            layers,
            pairs,
            what=f"the first {layers} layers of MobileNetV2 over HTTP, float32",
            against="JPEG decode and the bare session call",
            unit="x the time",
        )
    return curve


def _image_size(service: Service, models: Path) -> Curve:
    curve = Curve("pixels a side")
    theirs = _decoded(bare_call(load(models), [MIDDLE]))
    ours = _request_way(service, activations_path(MODEL, layers=MIDDLE))
    for side in SIDES:
        pairs = compare(f"{side} pixels", ours, theirs, _jpegs(side), warm_up=WARM_UP)
        curve.add(
            side,
            pairs,
            what=f"{MIDDLE} of MobileNetV2 of free size over HTTP, an image of {side}x{side}",
            against="JPEG decode and the bare session call",
            unit="x the time",
        )
    return curve


def _images(service: Service, models: Path) -> Curve:
    curve = Curve("images in a request")
    bare = bare_call(load(models), [MIDDLE])
    path = activations_path(MODEL, layers=MIDDLE)
    files = pictures(SIDE, SIDE, seed=3)
    with Connection(service.address) as connection:
        ours = Way.timed(lambda each: connection.post(path, form_of(each), FORM), service.cpu)
        theirs = Way.timed(lambda each: bare(np.stack([decode(file) for file in each])))
        for count in IMAGES:
            requests = [list(islice(files, count)) for _ in range(TURNS + WARM_UP)]
            curve.add(
                count,
                compare(f"{count} images", ours, theirs, requests, warm_up=WARM_UP),
                what=f"{MIDDLE} of MobileNetV2 for {count} images in one request",
                against="JPEG decode of all, and one bare session call",
                unit="x the time",
            )
    return curve


def _payload(service: Service, models: Path) -> Curve:
    curve = Curve("bytes of the answer")
    theirs = _decoded(bare_call(load(models), ["payload"]))
    ours = _request_way(service, activations_path(MODEL, layers="payload"), "image/png")
    for side in PAYLOAD_SIDES:
        images = pictures(side, side, channels=1, file_format="PNG")
        size = side * side * 16 * 4
        pairs = compare(f"{size:,} bytes", ours, theirs, islice(images, TURNS + WARM_UP), warm_up=WARM_UP)
        curve.add(
            size,
            pairs,
            what=f"a layer of {size / 1e6:.4g} MB over HTTP",
            against="PNG decode and the bare session call",
            unit="x the time",
        )
    return curve


def _callers(service: Service) -> Curve:
    """Throughput by the number of callers; together they send as many requests as the single caller."""
    curve = Curve("callers")
    path = activations_path(MODEL, layers=MIDDLE)
    files = pictures(SIDE, SIDE, seed=4)

    def with_callers(callers: int) -> Way:
        def run(images: Sequence[bytes]) -> float:
            requests = [Request(path, image, "image/jpeg") for image in images]
            return burst(service.address, [requests[number::callers] for number in range(callers)]).seconds

        return Way(run, service.cpu)

    halves = [list(islice(files, 2 * REQUESTS)) for _ in range(4)]
    for callers in CALLERS:
        halves = [list(islice(files, 2 * REQUESTS)) for _ in range(TURNS // 2)]
        many, one = with_callers(callers), with_callers(1)
        pairs = compare(
            f"{callers} callers",
            Way(lambda images, many=many: many.run(images[:REQUESTS]), service.cpu),
            Way(lambda images, one=one: one.run(images[REQUESTS:]), service.cpu),
            halves,
            warm_up=1,
        )
        curve.add(
            callers,
            pairs,
            what=f"{callers} callers of {MIDDLE} of MobileNetV2",
            against="one caller",
            unit="x the throughput",
            requests=REQUESTS,
        )
    return curve


def _models(root: Path) -> Curve:
    """Time of a request by the number of loaded models; requests go to each model in turn."""
    curve = Curve("models loaded")
    with ExitStack() as running:
        directories = {count: _copies(root, count) for count in (1, *MODELS)}
        services = {count: running.enter_context(serve(each)) for count, each in directories.items()}
        one = _round(services[1], 1)
        for count in MODELS:
            several = _round(services[count], count)
            pairs = compare(f"{count} models", several, one, _jpegs(SIDE, TURNS * 4), warm_up=max(MODELS))
            curve.add(
                count,
                pairs,
                what=f"{MIDDLE} of one of {count} copies of MobileNetV2, each in turn",
                against="one model loaded, the same request",
                unit="x the time",
                ready_s=services[count].started_in,
                memory_mb=services[count].memory() / 1e6,
            )
    return curve


def _copies(root: Path, count: int) -> Path:
    directory = root / f"copies{count}"
    for number in range(count):
        folder = directory / f"copy{number}" / "1"
        folder.mkdir(parents=True)
        for file in (root / "fixed" / MODEL / "1").iterdir():
            (folder / file.name).hardlink_to(file)
    return directory


def _round(service: Service, count: int) -> Way:
    paths = cycle(activations_path(f"copy{number}", layers=MIDDLE) for number in range(count))
    connection = Connection(service.address)
    return Way.timed(lambda jpeg: connection.post(next(paths), jpeg, "image/jpeg"), service.cpu)


def _request_way(service: Service, path: str, content_type: str = "image/jpeg") -> Way:
    connection = Connection(service.address)
    return Way.timed(lambda image: connection.post(path, image, content_type), service.cpu)


def _decoded(call: Callable[[Array], object]) -> Way:
    return Way.timed(lambda image: call(decode(image)[None]))


def _jpegs(side: int, turns: int = TURNS) -> Iterable[bytes]:
    return islice(_numbered(side), turns + WARM_UP)


_SEEDS = iter(range(1_000_000))


def _numbered(side: int) -> Iterator[bytes]:
    """Different pictures for every point of a curve, so that no answer comes from a cache."""
    return pictures(side, side, seed=next(_SEEDS))


def _payload_model() -> keras.Model:
    """A model of one layer, whose output has 64 bytes for each pixel of the image."""
    image = keras.Input((None, None, 1))
    return keras.Model(image, keras.layers.Conv2D(16, 1, name="payload")(image))
