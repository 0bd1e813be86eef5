"""Processes that serve the same models: what one of them is told, all carry out.

    DIR/orders.json      the last order about each version, and about the labels of each model, numbered
    DIR/loaded           is there once the first process has loaded what is to be loaded at the start
    DIR/done-<process>   the number of the last order that a process has carried out

Only the last order about a version counts, so that a process that comes later carries out few, and those that are given
at the same time end alike everywhere.
"""

import fcntl
import logging
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol

from pydantic import TypeAdapter

from layerscope.models.directory import Key
from layerscope.models.durable import write_whole

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 0.1
_SETTLE_SECONDS = 120.0


@dataclass(frozen=True)
class Order:
    """Something to do with a version of a model, or with the labels of all of them.

    Attributes:
        kind: `unload` is also for a version that is there and not loaded; `labels` for labels that were written down.
        name: the model.
        version: its version; 0 for labels.
        number: later orders have higher ones.
        told: the process that was told.
    """

    kind: Literal["load", "unload", "remove", "labels"]
    name: str
    version: int = 0
    number: int = 0
    told: str = ""

    @property
    def key(self) -> Key:
        """The model's name and version."""
        return self.name, self.version


class Fellows(Protocol):
    """The other processes that serve the same models."""

    @property
    def leads(self) -> bool:
        """Whether this one looks at the directory for all of them."""

    @property
    def is_late(self) -> bool:
        """Whether others serve already."""

    def await_first(self, is_wanted: Callable[[], bool]) -> None:
        """Wait until the first has loaded what is to be loaded at the start."""

    def follow(self, carry_out: Callable[[Order], None]) -> None:
        """Carry out what others were told until now, and from now on, in a thread."""

    def tell(self, *orders: Order) -> None:
        """Tell the others what was done here, in this order."""

    def settle(self) -> None:
        """Wait until the others have done all that they were told from here, or for two minutes."""

    def close(self) -> None:
        """Follow no more."""


class Alone:
    """No fellows."""

    leads = True
    is_late = False

    def await_first(self, is_wanted: Callable[[], bool]) -> None:
        """There is nobody to wait for."""

    def follow(self, carry_out: Callable[[Order], None]) -> None:
        """There is nobody to follow."""

    def tell(self, *orders: Order) -> None:
        """There is nobody to tell."""

    def settle(self) -> None:
        """There is nobody to wait for."""

    def close(self) -> None:
        """There is nothing to end."""


ALONE = Alone()


class FellowProcesses:
    """Processes on one machine that share a directory. Safe to use from many threads.

    Args:
        directory: theirs alone, and empty when the first of them starts.
        leads: whether this process looks at the directory of models for all.
    """

    def __init__(self, directory: Path, *, leads: bool) -> None:
        self.leads = leads
        self._directory = directory
        self._orders = directory / "orders.json"
        self._loaded = directory / "loaded"
        # Of a process only: what it was told before it ended and was started again, it has yet to do.
        self._name = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._done = directory / f"done-{self._name}"
        self._seen = 0
        self._told = 0
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def is_late(self) -> bool:
        """Whether others serve already."""
        return self._loaded.exists()

    def await_first(self, is_wanted: Callable[[], bool]) -> None:
        """Wait until the first has loaded what is to be loaded at the start; the first does not wait."""
        while not (self.leads or self.is_late) and is_wanted():
            time.sleep(_LOOK_SECONDS)

    def follow(self, carry_out: Callable[[Order], None]) -> None:
        """Carry out what others were told until now, and from now on, in a thread."""
        # First of all, so that whoever is told something from now on waits for this process too.
        write_whole(self._done, "0")
        self._catch_up(carry_out)
        self._loaded.touch()
        self._thread = threading.Thread(
            target=self._keep_following, args=(carry_out,), name="layerscope-follow", daemon=True
        )
        self._thread.start()

    def tell(self, *orders: Order) -> None:
        """Tell the others what was done here, in this order."""
        with self._alone():
            given = {_about(each): each for each in self._read()}
            for order in orders:
                self._told = 1 + max((each.number for each in given.values()), default=0)
                given[_about(order)] = replace(order, number=self._told, told=self._name)
            write_whole(self._orders, _GIVEN.dump_json(list(given.values())).decode())

    def settle(self) -> None:
        """Wait until the others have done all that they were told from here, or for two minutes."""
        last = time.monotonic() + _SETTLE_SECONDS
        while time.monotonic() < last and not self._closed.is_set() and self._are_behind():
            time.sleep(_LOOK_SECONDS / 2)

    def close(self) -> None:
        """Follow no more."""
        self._closed.set()
        if self._thread is not None:
            self._thread.join()
        self._done.unlink(missing_ok=True)

    def _keep_following(self, carry_out: Callable[[Order], None]) -> None:
        while not self._closed.wait(_LOOK_SECONDS):
            self._catch_up(carry_out)

    def _catch_up(self, carry_out: Callable[[Order], None]) -> None:
        orders = sorted(self._read(), key=lambda each: each.number)
        for order in orders:
            if order.number > self._seen and order.told != self._name:
                self._try(carry_out, order)
        last = orders[-1].number if orders else 0
        if last > self._seen:
            self._seen = last
            write_whole(self._done, str(last))

    def _try(self, carry_out: Callable[[Order], None], order: Order) -> None:
        try:
            carry_out(order)
        except Exception:
            logger.exception(
                "what another process was told was not done here: %s %s@%d", order.kind, *order.key
            )

    def _are_behind(self) -> bool:
        others = [path for path in self._directory.glob("done-*") if path != self._done]
        return any(_number(path) < self._told for path in others)

    def _read(self) -> list[Order]:
        with suppress(FileNotFoundError):
            return _GIVEN.validate_json(self._orders.read_bytes())
        return []

    @contextmanager
    def _alone(self) -> Iterator[None]:
        descriptor = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


_GIVEN = TypeAdapter(list[Order])


def forget_process(directory: Path, process: int) -> None:
    """Let nobody wait any more for a process that has ended."""
    for path in directory.glob(f"done-{process}-*"):
        path.unlink(missing_ok=True)


def _about(order: Order) -> tuple[bool, Key]:
    return order.kind == "labels", order.key


def _number(path: Path) -> int:
    """What a process has done; without limit if it ends meanwhile."""
    try:
        return int(path.read_text("ascii"))
    except FileNotFoundError:
        return 2**62
