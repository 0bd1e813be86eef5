"""The event loop: no callback takes long, whatever the largest requests carry. Probes are answered by the same loop."""

import base64
import io
import json
import threading
import time
from asyncio.events import Handle
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import Pipe
from pathlib import Path

import httpx2
import keras
import numpy as np
import pytest
from PIL import Image
from requests_made import JSON, NPY, PNG
from sockets import served

from layerscope_api.context.settings import Settings
from layerscope_api.context.shared_state import SharedState
from layerscope_api.context.worker_sync import SupervisedSync
from layerscope_api.server.app import create_app, local_engine

MIB = 1 << 20
ATTEMPTS = 3
"""A callback that something else on the machine slowed down is quick in another attempt."""

Sent = tuple[bytes, dict[str, str]]
Request = tuple[str, str, bytes | None, dict[str, str]]
"""A body with its headers; and with a method and a path before them."""

LARGE, WIDE = "/v1/models/large/activations", "/v1/models/wide"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for images of any size, and one of 4,000 layers that makes 100,000 classes, all with names."""
    folder = tmp_path_factory.mktemp("models")
    image = keras.Input((None, None, 3))
    maps = keras.layers.AveragePooling2D(64, name="pool")(image)
    save(keras.Model(image, keras.layers.GlobalAveragePooling2D()(maps)), folder / "large")
    numbers = keras.Input((4,))
    scores = keras.layers.Dense(100_000, activation="softmax", name="scores")(numbers)
    save(keras.Model(numbers, scores), folder / "wide", classes=[f"class {each}" for each in range(100_000)])
    ends = []
    for branch in range(40):
        end = numbers
        for depth in range(99):
            end = keras.layers.Activation("relu", name=f"a_layer_with_a_name_{branch}_{depth}")(end)
        ends.append(end)
    save(keras.Model(numbers, keras.layers.Add(name="sum")(ends)), folder / "deep")
    return folder


def save(model: keras.Model, folder: Path, **declaration: object) -> None:
    (folder / "1").mkdir(parents=True)
    model.save(folder / "1" / "model.keras")
    (folder / "1" / "layerscope.json").write_text(json.dumps(declaration), "utf-8")


def seconds_of_two_copies() -> float:
    """Processor time that this machine needs to copy the longest body twice. To parse or decode it takes longer."""
    body = np.ones(64 * MIB, np.uint8)
    took = []
    for _ in range(ATTEMPTS):
        began = time.thread_time()
        body.tobytes()
        took.append(time.thread_time() - began)
    return 2 * min(took)


@contextmanager
def watched_callbacks(most_seconds: float) -> Iterator[list[tuple[float, str]]]:
    """The callbacks of event loops in other threads that take long: their seconds of processor time, and what they are."""
    slow: list[tuple[float, str]] = []
    run = Handle._run
    here = threading.get_ident()

    def timed(self: Handle) -> None:
        began = time.thread_time()
        run(self)
        taken = time.thread_time() - began
        if taken > most_seconds and threading.get_ident() != here:
            slow.append((taken, repr(self)))

    Handle._run = timed  # type: ignore[method-assign]
    try:
        yield slow
    finally:
        Handle._run = run  # type: ignore[method-assign]


@pytest.fixture(scope="module")
def large() -> dict[str, Sent]:
    """The largest bodies that are read, of each form, with their headers."""
    file = io.BytesIO()
    Image.new("RGB", (4_500, 4_500)).save(file, "PNG", compress_level=0)
    picture = file.getvalue()
    assert 55 * MIB < len(picture) < 64 * MIB
    small = io.BytesIO()
    Image.linear_gradient("L").resize((6_300, 6_300)).convert("RGB").save(small, "JPEG")
    tensor = io.BytesIO()
    np.save(tensor, np.zeros((1, 2_000, 2_600, 3), np.float32))
    part = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
    in_base64 = json.dumps({"images": [{"base64": base64.b64encode(picture[: 45 * MIB]).decode()}]})
    form = {"Content-Type": "multipart/form-data; boundary=x"}
    return {
        "a picture of 60 MiB": (picture, PNG),
        "40 megapixels": (small.getvalue(), {"Content-Type": "image/jpeg"}),
        "a tensor of 60 MiB": (tensor.getvalue(), NPY),
        "base64 of 60 MiB": (in_base64.encode(), JSON),
        "JSON of 50,000 parts": (b'{"layers":[' + b",".join([b'"a"'] * 16_000) + b"]}", JSON),
        "JSON of 20 million lists": (b'{"images":[' + b"[]," * 20_000_000 + b"[]]}", JSON),
        "JSON of a long text": (b'{"layers":"' + b"\\\\" * (30 * MIB) + b'"}', JSON),
        "a form of 60 MiB": (part + picture + b"\r\n--x--\r\n", form),
        "a form of many parts": ((part + b"a\r\n") * 250 + b"--x--\r\n", form),
        "a form of half boundaries": (part + b"\r\n--y" * (12 * MIB) + b"\r\n--x--\r\n", form),
    }


def require_quick_callbacks(
    settings: Settings, sent: dict[str, Request], shared: SharedState | None = None
) -> None:
    engine = local_engine(settings)
    engine.load_all()
    app = create_app(settings, engine, shared)
    try:
        with (
            watched_callbacks(seconds_of_two_copies()) as slow,
            served(app, settings) as address,
            httpx2.Client(base_url=f"http://{address}", timeout=300) as http,
        ):
            for name, (method, path, body, headers) in sent.items():
                for _ in range(ATTEMPTS):
                    slow.clear()
                    answer = http.request(method, path, content=body, headers=headers)
                    assert answer.status_code != 500, (name, answer.text)
                    if not slow:
                        break
                assert not slow, (name, slow)
    finally:
        engine.close()


def test_no_callback_of_the_event_loop_takes_long(tmp_path: Path, large: dict[str, Sent]) -> None:
    """What needs no model: bodies are read before one is looked for."""
    sent: dict[str, Request] = {
        "the first": ("GET", "/v2/health/live", None, {}),
        "the contract": ("GET", "/openapi.json", None, {}),
        "40 megapixels": ("POST", "/v1/images", *large["40 megapixels"]),
        **{
            name: ("POST", LARGE, *large[name])
            for name in ("base64 of 60 MiB", "JSON of 20 million lists", "a form of 60 MiB")
        },
    }
    require_quick_callbacks(Settings(models=tmp_path), sent)


@pytest.mark.soak
@pytest.mark.parametrize("has_workers", [False, True], ids=["one process", "a worker of several"])
def test_no_callback_takes_long_on_any_route(
    models: Path, large: dict[str, Sent], tmp_path: Path, *, has_workers: bool
) -> None:
    settings = Settings(models=models, allow_upload=True, control="explicit", load=("*",))
    connection, _other = Pipe()
    shared = SharedState(tmp_path, 0, SupervisedSync(connection, is_leader=True, is_late=False))
    require_quick_callbacks(settings, requests(large), shared if has_workers else None)


def requests(large: dict[str, Sent]) -> dict[str, Request]:
    """A request of each kind, with the largest that it takes."""
    row = io.BytesIO()
    np.save(row, np.ones((1, 4), np.float32))
    numbers, picture, jpeg = row.getvalue(), large["a picture of 60 MiB"][0], large["40 megapixels"]
    tensor = '{"inputs":[{"name":"%s","shape":[1,4],"datatype":"FP32","data":[%s]}]}'
    posts: dict[str, tuple[str, bytes, dict[str, str]]] = {
        **{
            f"activations of {name}": (f"{LARGE}?layers=pool&format=npy", *sent)
            for name, sent in large.items()
        },
        **{f"stored: {name}": ("/v1/images", *large[name]) for name in ("40 megapixels", "a form of 60 MiB")},
        "all values": (f"{LARGE}?layers=all&format=safetensors", *large["a tensor of 60 MiB"]),
        "a picture of values": ("/v1/models/large/feature-map.png?layer=pool", *jpeg),
        "classes": (f"{WIDE}/predictions?top=10000&preprocess=false", numbers, NPY),
        "values as JSON": (f"{WIDE}/activations?layers=scores&preprocess=false", numbers, NPY),
        "layers as JSON": ("/v1/models/deep/plan?layers=all", numbers, NPY),
        "infer of lists": (
            "/v2/models/wide/infer",
            (tensor % ("numbers", "[]," * 400_000 + "[]")).encode(),
            JSON,
        ),
        "infer of numbers": (
            "/v2/models/wide/infer",
            (tensor % ("numbers", "1.5," * 900_000 + "1")).encode(),
            JSON,
        ),
        "a model": ("/v1/models?name=broken", picture, {"Content-Type": "application/octet-stream"}),
        "the repository": ("/v2/repository/index", b"{}", JSON),
    }
    gets = [
        "/v1/models",
        "/v1/models/wide",
        "/v1/models/deep",
        "/v1/models/deep/layers",
        "/v1/models/deep/graph",
    ]
    gets += [
        "/openapi.json",
        "/metrics",
        "/v1/limits",
        "/v1/attributions",
        "/docs",
        "/ui/",
        "/v2/models/stats",
    ]
    return {
        "the first": ("GET", "/v2/health/live", None, {}),
        **{name: ("POST", path, body, headers) for name, (path, body, headers) in posts.items()},
        **{path: ("GET", path, None, {}) for path in gets},
    }
