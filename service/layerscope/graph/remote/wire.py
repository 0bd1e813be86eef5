"""Wire protocol between a service and its run process: messages over a stream socket.

    length       of the header: a 32-bit number in network byte order; descriptors travel with it (SCM_RIGHTS)
    header       JSON: a message, and the dtype and shape of each array
    arrays       the bytes of each, in this order, rows first

The service sends one call at a time and gets one answer to each, so a message needs no number.
"""

import socket
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, TypeAdapter

Array = np.ndarray[Any, np.dtype[Any]]

_LENGTH = struct.Struct("!I")


@dataclass(frozen=True, kw_only=True)
class OpenModel:
    """Open the prepared model whose descriptor travels with this message, under a number.

    Attributes:
        model: the number.
        is_exact: whether images run one by one, see `Executable`.
        rewrites: the names of the rewrites of its plans, which the service has checked.
        data_sized_bytes: see `Executable`.
    """

    kind: Literal["open"] = "open"
    model: int
    is_exact: bool
    rewrites: tuple[str, ...]
    data_sized_bytes: int


@dataclass(frozen=True, kw_only=True)
class CloseModel:
    """Close the model of this number."""

    kind: Literal["close"] = "close"
    model: int


@dataclass(frozen=True, kw_only=True)
class Run:
    """`Executable.run`. Taps are named by their addresses.

    The arrays are the inputs, the values of the feeds, and four for each edit.
    """

    kind: Literal["run"] = "run"
    model: int
    taps: tuple[str, ...]
    feeds: tuple[str, ...]
    edits: tuple[str, ...]
    seed: int
    exact: bool


@dataclass(frozen=True, kw_only=True)
class Gradient:
    """`Executable.gradient`. The arrays are the inputs, those of `weights` and `values` that are given, and four for each edit."""

    kind: Literal["gradient"] = "gradient"
    model: int
    target: str
    source: str
    guided: bool
    is_fed: bool
    has_weights: bool
    has_values: bool
    edits: tuple[str, ...]
    seed: int
    exact: bool


@dataclass(frozen=True, kw_only=True)
class RunBetween:
    """`Executable.run_between`. The arrays are the values of the sources, and four for each edit."""

    kind: Literal["run_between"] = "run_between"
    model: int
    sources: tuple[str, ...]
    targets: tuple[str, ...]
    edits: tuple[str, ...]
    rows: int


@dataclass(frozen=True, kw_only=True)
class Done:
    """The call has succeeded; the arrays are what it returns."""

    kind: Literal["done"] = "done"


@dataclass(frozen=True, kw_only=True)
class Failed:
    """The call has failed with an error of this code; None for one that is a bug, which is in the log."""

    kind: Literal["failed"] = "failed"
    code: str | None
    message: str
    details: dict[str, Any] = field(default_factory=dict)


Call = Run | Gradient | RunBetween
Message = OpenModel | CloseModel | Call | Done | Failed


@dataclass(frozen=True)
class _Header:
    message: Annotated[Message, Field(discriminator="kind")]
    arrays: tuple[tuple[str, tuple[int, ...]], ...]


_HEADER = TypeAdapter(_Header)

OnWait = Callable[[], None]
"""Is called whenever the socket's timeout passes without progress. It raises an error to give up."""


def wait_on() -> None:
    """Wait for as long as it takes."""


@dataclass(frozen=True)
class Received:
    """A message, its arrays, and the descriptors that came with it."""

    message: Message
    arrays: list[Array]
    descriptors: list[int]


def send(
    connection: socket.socket,
    message: Message,
    arrays: Sequence[Array] = (),
    descriptors: Sequence[int] = (),
    on_wait: OnWait = wait_on,
) -> None:
    """Send a message.

    Raises:
        OSError: the other end is closed.
    """
    contents = [_plain(array) for array in arrays]
    header = _Header(message, tuple((array.dtype.name, array.shape) for array in contents))
    text = _HEADER.dump_json(header, fallback=str)
    socket.send_fds(connection, [_LENGTH.pack(len(text))], descriptors)
    _write(connection, text, on_wait)
    for array in contents:
        _write(connection, array.reshape(-1).view(np.uint8).data, on_wait)


def receive(connection: socket.socket, on_wait: OnWait = wait_on) -> Received:
    """Receive a message.

    Raises:
        EOFError: the other end is closed.
        OSError: the connection is broken.
    """
    length, descriptors = _begun(connection, on_wait)
    text = bytearray(length)
    _fill(connection, text, on_wait)
    header = _HEADER.validate_json(bytes(text))
    arrays = [np.empty(shape, _plain_dtype(name)) for name, shape in header.arrays]
    for array in arrays:
        _fill(connection, array.reshape(-1).view(np.uint8).data, on_wait)
    return Received(header.message, arrays, descriptors)


def _begun(connection: socket.socket, on_wait: OnWait) -> tuple[int, list[int]]:
    while True:
        try:
            start, descriptors, _, _ = socket.recv_fds(connection, _LENGTH.size, 1)
            break
        except TimeoutError:
            on_wait()
    if not start:
        raise EOFError
    rest = bytearray(_LENGTH.size - len(start))
    _fill(connection, rest, on_wait)
    return _LENGTH.unpack(start + rest)[0], descriptors


def _write(connection: socket.socket, buffer: Any, on_wait: OnWait) -> None:
    rest = memoryview(buffer)
    while rest:
        try:
            rest = rest[connection.send(rest) :]
        except TimeoutError:
            on_wait()


def _fill(connection: socket.socket, buffer: Any, on_wait: OnWait) -> None:
    rest = memoryview(buffer)
    while rest:
        try:
            count = connection.recv_into(rest)
        except TimeoutError:
            on_wait()
            continue
        if not count:
            raise EOFError
        rest = rest[count:]


def _plain(array: Array) -> Array:
    """The same values in one piece, rows first, in the byte order of this machine."""
    return np.ascontiguousarray(array, array.dtype.newbyteorder("=")).reshape(array.shape)


def _plain_dtype(name: str) -> np.dtype[Any]:
    """The dtype of a name, if its values are bytes and no references: a process that was taken over may send any name."""
    dtype = np.dtype(name)
    if dtype.hasobject:
        raise ValueError(f"{name} is no dtype of numbers")
    return dtype
