"""Light HTTP client with one connection that is kept open, so that the server dominates the measurement."""

import http.client
import socket
import time
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Self
from urllib.parse import urlencode, urlsplit

_IDLE_SECONDS = 2.0
_BOUNDARY = "layerscope-benchmark"

FORM = f"multipart/form-data; boundary={_BOUNDARY}"
"""The content type of `form_of`."""


class Connection:
    """One connection to a server, reused for every request; a context manager that closes it.

    Servers close connections that were idle for a few seconds, so it is opened anew before that. Answers are read
    into memory that is kept: to be given tens of megabytes by the system takes longer than to receive them.
    With a `key`, each request carries it.
    """

    def __init__(self, address: str, key: str | None = None) -> None:
        parts = urlsplit(address)
        self._http = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=120)
        self._headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        self._used = -_IDLE_SECONDS
        self._kept = bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def open(self) -> None:
        """Connect, if it is not connected or was idle for long."""
        if time.monotonic() - self._used > _IDLE_SECONDS:
            self._http.close()
            self._http.connect()
            self._http.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._used = time.monotonic()

    def post(
        self, path: str, body: bytes, content_type: str, headers: Mapping[str, str] | None = None
    ) -> memoryview:
        """Body of the answer, valid until the next call.

        Raises:
            RuntimeError: the status is not 200.
        """
        self.open()
        self._http.request(
            "POST", path, body, {"Content-Type": content_type, **self._headers, **(headers or {})}
        )
        answer = self._http.getresponse()
        content = self._read(answer)
        self._used = time.monotonic()
        if answer.status != 200:
            raise RuntimeError(
                f"{path} answered {answer.status}: {bytes(content[:500]).decode(errors='replace')}"
            )
        return content

    def _read(self, answer: http.client.HTTPResponse) -> memoryview:
        if answer.length is None:
            return memoryview(answer.read())
        if answer.length > len(self._kept):
            self._kept = bytearray(answer.length)
        content = memoryview(self._kept)[: answer.length]
        received = 0
        while not answer.isclosed() and (count := answer.readinto(content[received:])):
            received += count
        return content.toreadonly()


def activations_path(model: str, **options: object) -> str:
    """Path of a request for activations as safetensors, with its options."""
    return f"/v1/models/{model}/activations?{urlencode({'format': 'safetensors', **options})}"


def feature_map_path(model: str, **options: object) -> str:
    """The path of a request for a picture, with its options."""
    return f"/v1/models/{model}/feature-map.png?{urlencode(options)}"


def form_of(images: Iterable[bytes]) -> bytes:
    """The body of a form with several JPEG files."""
    head = (
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="image.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n"
    ).encode()
    parts = b"".join(head + image + b"\r\n" for image in images)
    return parts + f"--{_BOUNDARY}--\r\n".encode()
