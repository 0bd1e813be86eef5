"""The Open Inference Protocol, beside the service's own routes.

Both ways request the same layer of the same image, over connections that are kept open; the second request finds nothing
in a cache. With clients, two images go in as 1.2 MB of numbers and a layer of 3.2 MB comes back, FP32 and binary: Triton's
own client beside that of the service.
"""

import json
import struct
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import tritonclient.http as triton
from rig.connection import Connection, activations_path
from rig.figures import Figure, ratio
from rig.models import MIDDLE, SIDE, decode, mobilenet, save
from rig.paired import Way, compare
from rig.pictures import pictures
from rig.service import Service, serve

from layerscope_client import Client

MODEL = "mobilenetv2"
LARGE = "Conv1_relu"
"""The first layer: 112x112 pixels, 32 channels, 1.6 MB an image."""

TURNS = 405


def measure() -> dict[str, Figure]:
    """One layer through both routes, and a large one through both clients."""
    with tempfile.TemporaryDirectory() as folder:
        save(mobilenet(), Path(folder), MODEL)
        with serve(Path(folder)) as service:
            return {"route": _routes(service), "client": _clients(service)}


def _routes(service: Service) -> Figure:
    with Connection(service.address) as one, Connection(service.address) as other:
        ours = Way.timed(lambda pair: one.post(f"/v2/models/{MODEL}/infer", *pair[0]), service.cpu)
        path = activations_path(MODEL, layers=MIDDLE)
        requests = ((_request(first), second) for first, second in _pairs())
        theirs = Way.timed(lambda pair: other.post(path, pair[1], "image/jpeg"), service.cpu)
        return ratio(
            compare("protocol and native route", ours, theirs, islice(requests, TURNS)),
            what=f"{MIDDLE} of MobileNetV2 by the Open Inference Protocol, JPEG in, binary FP32 out",
            against="the activations route, JPEG in, safetensors out",
            unit="x the time",
            most=1.0,
        )


def _clients(service: Service) -> Figure:
    outputs = [triton.InferRequestedOutput(LARGE)]
    with (
        triton.InferenceServerClient(service.address.removeprefix("http://")) as client,
        Client(service.address) as scope,
    ):
        model = scope.model(MODEL)
        name = model.describe()["inputs"][0]["name"]

        def through_triton(pair: tuple[bytes, bytes]) -> np.ndarray:
            values = _numbers(pair[0])
            images = triton.InferInput(name, list(values.shape), "FP32").set_data_from_numpy(values)
            return client.infer(MODEL, [images], outputs=outputs).as_numpy(LARGE)

        def through_ours(pair: tuple[bytes, bytes]) -> np.ndarray:
            return model.activations(_numbers(pair[1]), layers=[LARGE])[LARGE]

        return ratio(
            compare(
                "Triton's client and ours",
                Way.timed(through_triton, service.cpu),
                Way.timed(through_ours, service.cpu),
                islice(_pairs(seed=1), TURNS),
            ),
            what=f"{LARGE} of two images, 3.2 MB of FP32, with tritonclient",
            against="the Python client of the service",
            unit="x the time",
            most=1.2,
        )


def _pairs(seed: int = 0) -> Iterator[tuple[bytes, bytes]]:
    """Two images for each turn: the request of one way would be cached for the other."""
    images = pictures(SIDE, SIDE, seed=seed)
    return zip(images, images, strict=False)


def _numbers(jpeg: bytes) -> np.ndarray:
    """Two images as the model takes them: one, and its mirror image."""
    image = decode(jpeg)
    return np.stack([image, image[:, ::-1]])


def _request(jpeg: bytes) -> tuple[bytes, str, dict[str, str]]:
    """A request of the protocol: body, type, and the header that says how much of the body is JSON."""
    head = {
        "inputs": [
            {
                "name": "image",
                "datatype": "BYTES",
                "shape": [1],
                "parameters": {"binary_data_size": len(jpeg) + 4},
            }
        ],
        "outputs": [{"name": MIDDLE, "parameters": {"binary_data": True}}],
    }
    text = json.dumps(head).encode()
    body = text + struct.pack("<I", len(jpeg)) + jpeg
    return body, "application/octet-stream", {"Inference-Header-Content-Length": str(len(text))}
