"""Hostile callers, all at once: each repeats what has ended or stalled a service that bounds only parts of a request.

Run as a process of its own, which yields to the service and to ordinary callers.
"""

import base64
import http.client
import io
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import keras
import numpy as np
from PIL import Image

from rig.models import mobilenet, save

ORDINARY = "mobilenetv2"
"""The model that ordinary callers ask, too."""

_BENCHMARKS = Path(__file__).parents[1]
_MIB = 1 << 20
_PAUSE = 0.05
"""Seconds between an answer and the next request, so that it is work that loads the service, not refusals."""

_PATIENCE = 40.0
_OWN_NICENESS = 15

Send = Callable[["Target"], str]


class Target:
    """The service, and a key for it.

    Args:
        address: host and port.
        key: that of the hostile callers.
    """

    def __init__(self, address: str, key: str) -> None:
        self.address = address
        self.key = key

    def post(self, path: str, body: bytes, content_type: str) -> str:
        """The status of an answer, which is read whole."""
        connection = http.client.HTTPConnection(self.address, timeout=_PATIENCE)
        try:
            connection.request(
                "POST", path, body, {"Content-Type": content_type, "Authorization": f"Bearer {self.key}"}
            )
            answer = connection.getresponse()
            answer.read()
            return str(answer.status)
        finally:
            connection.close()

    def held(self, path: str, announced: int, body: bytes, content_type: str, seconds: float) -> str:
        """The beginning of a request, or all of it, whose answer is not read for so many seconds; how that ended."""
        host, _, port = self.address.partition(":")
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {self.address}\r\nAuthorization: Bearer {self.key}\r\n"
            f"Content-Type: {content_type}\r\nContent-Length: {announced}\r\n\r\n"
        )
        with socket.create_connection((host, int(port)), timeout=_PATIENCE) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.sendall(head.encode() + body)
            time.sleep(seconds)
            return connection.recv(12)[9:].decode() or "closed"


def write_models(folder: Path) -> None:
    """The models that are attacked: one for ordinary callers, one of any image size, and three that are hard inside."""
    save(mobilenet(), folder, ORDINARY)
    image = keras.Input((None, None, 3))
    maps = keras.layers.Conv2D(16, 3, padding="same", activation="relu", name="conv")(image)
    save(keras.Model(image, keras.layers.GlobalAveragePooling2D()(maps)), folder, "free")
    wide = keras.layers.SeparableConv2D(4, 3, depth_multiplier=2000, padding="same", name="wide")(image)
    save(keras.Model(image, keras.layers.GlobalAveragePooling2D()(wide)), folder, "wide")
    tokens = keras.Input((None, 16))
    attended = keras.layers.MultiHeadAttention(2, 8, name="attention")(tokens, tokens)
    _save_plain(keras.Model(tokens, attended), folder, "attention")
    steps = keras.Input((None, 1))
    _save_plain(keras.Model(steps, keras.layers.SimpleRNN(1, name="recurrent")(steps)), folder, "recurrent")


def _save_plain(model: keras.Model, folder: Path, name: str) -> None:
    (folder / name / "1").mkdir(parents=True)
    model.save(folder / name / "1" / "model.keras")


def attacks() -> Mapping[str, tuple[int, Send]]:
    """What is sent, by its name: how many callers send it at once, and how."""
    names = b"{" + b",".join(b'"%d":0' % number for number in range(5_500_000)) + b"}"
    lists = b'{"images":[' + b"[]," * 20_000_000 + b"[]]}"
    webp = _webp(6300)
    many = json.dumps({"images": [{"base64": base64.b64encode(webp).decode()}] * 64}).encode()
    tokens = {count: _npy(np.zeros((1, count, 16), np.float32)) for count in (40_000, 6_000)}
    steps = _npy(np.zeros((1, 8_000_000, 1), np.float32))
    picture, large = _jpeg(512), _jpeg(1500)
    activations = "/v1/models/{}/activations?layers=all&format=safetensors"
    bits = iter(range(1_000_000_000))
    return {
        "JSON of millions of names": (
            2,
            lambda to: to.post(activations.format("free"), names, "application/json"),
        ),
        "JSON of millions of lists": (
            1,
            lambda to: to.post(activations.format("free"), lists, "application/json"),
        ),
        "small files of 40 megapixels": (
            24,
            lambda to: to.post(activations.format("free"), webp, "image/webp"),
        ),
        "JSON of 64 of them": (1, lambda to: to.post(activations.format("free"), many, "application/json")),
        "answers that nobody reads": (
            16,
            lambda to: to.held(activations.format("free"), len(large), large, "image/jpeg", 12),
        ),
        "bodies that are not finished": (
            10,
            lambda to: to.held(activations.format("free"), 60 * _MIB, bytes(59 * _MIB), "image/png", 12),
        ),
        "bodies that are held back": (
            31,
            lambda to: to.held(activations.format("free"), 60 * _MIB, bytes(8 * _MIB), "image/png", 12),
        ),
        "uploads of four bytes": (
            10,
            lambda to: to.held(
                f"/v1/models?name=a{next(bits)}", 2 << 30, b"PK\3\4", "application/octet-stream", 12
            ),
        ),
        "attention over 40,000 tokens": (
            1,
            lambda to: to.post(activations.format("attention"), tokens[40_000], "application/x-npy"),
        ),
        "attention over 6,000 tokens": (
            2,
            lambda to: to.post(activations.format("attention"), tokens[6_000], "application/x-npy"),
        ),
        "convolutions that are wide inside": (
            2,
            lambda to: to.post(activations.format("wide"), picture, "image/jpeg"),
        ),
        "tensors of zero and of huge sides": (2, _impossible_sides),
        "8 million recurrent steps": (
            2,
            lambda to: to.post(activations.format("recurrent"), steps, "application/x-npy"),
        ),
        "slow attributions": (
            16,
            lambda to: to.post(
                f"/v1/models/{ORDINARY}/attributions/occlusion?patch=16&stride=4",
                _jpeg(224, next(bits)),
                "image/jpeg",
            ),
        ),
    }


def _impossible_sides(to: Target) -> str:
    statuses = [
        to.post("/v1/models/free/activations?layers=all", _npy_header(shape), "application/x-npy")
        for shape in ((2_147_483_648, 0, 3), (2_147_483_647, 0, 3), (1, 0, 0, 3), (2**62, 2**62, 3))
    ]
    return max(statuses)


def _npy_header(shape: tuple[int, ...]) -> bytes:
    text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


def _npy(values: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


def _webp(side: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (side, side)).save(file, "WEBP", lossless=True)
    return file.getvalue()


def _jpeg(side: int, seed: int = 0) -> bytes:
    coarse = np.random.default_rng(seed).integers(0, 256, (side // 4, side // 4, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(coarse).resize((side, side)).save(file, "JPEG", quality=90)
    return file.getvalue()


KINDS = 14
"""How many kinds of attacks there are; each has a key of its own, so that the bounds of one key do not hide others."""


def started(address: str, keys: Sequence[str], seconds: float) -> "subprocess.Popen[str]":
    """Start the callers, as a process that says "ready", waits for a line, and prints how often which status came."""
    command = [sys.executable, "-m", "rig.hostile", address, ",".join(keys), str(seconds)]
    return subprocess.Popen(
        command, cwd=_BENCHMARKS, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def _main(address: str, keys: Sequence[str], seconds: float) -> None:
    os.nice(_OWN_NICENESS)
    sent, lock = attacks(), threading.Lock()
    targets = dict(zip(sent, (Target(address, key) for key in keys), strict=True))
    came: dict[str, Counter[str]] = {name: Counter() for name in sent}
    print("ready", flush=True)
    sys.stdin.readline()
    end = time.monotonic() + seconds

    def repeat(name: str, send: Send) -> None:
        while time.monotonic() < end:
            try:
                status = send(targets[name])
            except TimeoutError:
                status = "none"
            except (OSError, http.client.HTTPException):
                status = "closed"
            with lock:
                came[name][status] += 1
            time.sleep(_PAUSE)

    threads = [
        threading.Thread(target=repeat, args=(name, send), daemon=True)
        for name, (callers, send) in sent.items()
        for _ in range(callers)
    ]
    for thread in threads:
        thread.start()
    time.sleep(max(0.0, end - time.monotonic()))
    with lock, suppress(BrokenPipeError):
        json.dump(came, sys.stdout)
        sys.stdout.flush()
    # Those that still wait for answers are of no interest.
    os._exit(0)


if __name__ == "__main__":
    _main(sys.argv[1], sys.argv[2].split(","), float(sys.argv[3]))
