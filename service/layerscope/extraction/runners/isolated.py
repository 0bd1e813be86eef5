"""Isolated extractor: does shards in a process of its own, and outlives it.

    IsolatedExtractor ── an Order, one JSON object a line ──▶ `python -m layerscope.extraction.runners.worker`
                      ◀── a Message a line: the receipt, the image that it begins with, or why the job cannot go on

A shard that ended its process three times is done again one image after the other; an image that then ends the process twice is
listed as failed. For one such image, that is six processes, whatever the size of the shard. To halve a shard of 4,096 images until the
image is alone would take three for the shard, one or more for each of twelve halves, and one for the rest: sixteen at the least.

This module imports no TensorFlow: the processes of Ray and Dask, which hold an isolated extractor, stay small.
"""

import os
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from threading import Lock

from layerscope.errors import LayerscopeError, RunFailed
from layerscope.extraction.job import Receipt
from layerscope.extraction.runners.messages import MESSAGE, ORDER, Message, Order

_DEATHS = 3
"""How often a shard may end its process before it is done one image after the other."""

_DEATHS_OF_IMAGE = 2
"""How often an image may. A process can be killed for other reasons, and the image be innocent."""


class IsolatedExtractor:
    """Does one shard at a time in a worker process, and starts another when that ends.

    Args:
        setup: the first line for the worker, see `messages.setup`.
    """

    def __init__(self, setup: bytes) -> None:
        self._setup = setup
        self._worker: _Worker | None = None
        self._is_closed = False
        self._starting = Lock()
        self._busy = Lock()

    def do(self, shard: int) -> Receipt:
        """Do a shard.

        Raises:
            RunFailed: its process ends again and again, without any image to blame; or this was closed.
            LayerscopeError: the job cannot go on.
        """
        with self._busy:
            return self._do(shard)

    def answer(self, shard: int) -> bytes:
        """Do a shard for a runner elsewhere: the message for `receipt_of`."""
        try:
            message = Message(receipt=self.do(shard))
        except LayerscopeError as error:
            message = Message.of(error)
        return MESSAGE.dump_json(message, exclude_none=True, fallback=str)

    def rest(self) -> None:
        """End the process, unless it does something. The next shard has another."""
        if self._worker is not None and self._busy.acquire(blocking=False):
            try:
                self._worker.end()
            finally:
                self._busy.release()

    def close(self) -> None:
        """End the process at once. A thread that waits for it hears of it as `RunFailed`."""
        with self._starting:
            self._is_closed = True
            if self._worker is not None:
                self._worker.end()

    def _do(self, shard: int) -> Receipt:
        deaths, of_images, idle_deaths = 0, Counter[int](), 0
        while True:
            skipped = tuple(sorted(each for each, count in of_images.items() if count >= _DEATHS_OF_IMAGE))
            one_by_one = deaths >= _DEATHS
            worker = self._running_worker()
            if receipt := worker.do(Order(shard, skipped, one_by_one)):
                return receipt
            worker.end()
            deaths += 1
            if worker.began is not None:
                of_images[worker.began] += 1
            elif one_by_one:
                idle_deaths += 1
            if idle_deaths >= _DEATHS:
                raise RunFailed(
                    f"The process that does part {shard} ends, and not by an image: see what it prints, and whether memory is enough."
                )

    def _running_worker(self) -> "_Worker":
        with self._starting:
            if self._is_closed:
                raise RunFailed("The extractor was closed.")
            if self._worker is None or self._worker.has_ended:
                self._worker = _Worker(self._setup)
            return self._worker


def receipt_of(answer: bytes) -> Receipt:
    """The receipt in the answer of an isolated extractor.

    Raises:
        LayerscopeError: the job cannot go on.
    """
    message = MESSAGE.validate_json(answer)
    message.raise_error()
    assert message.receipt is not None  # noqa: S101 - see `answer`
    return message.receipt


class _Worker:
    """A worker process.

    Attributes:
        began: the image that it began with last, if it does one after the other.
    """

    def __init__(self, setup: bytes) -> None:
        self.began: int | None = None
        self._process = subprocess.Popen(  # noqa: S603 - nothing in the command comes from outside
            [sys.executable, "-P", "-m", "layerscope.extraction.runners.worker", str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            process_group=0,
        )
        self._say(setup)

    @property
    def has_ended(self) -> bool:
        """Whether it is known to have ended."""
        return self._process.returncode is not None

    def do(self, order: Order) -> Receipt | None:
        """Have it do a shard; None if it ends before.

        Raises:
            LayerscopeError: the job cannot go on.
        """
        self.began = None
        self._say(ORDER.dump_json(order))
        assert self._process.stdout is not None  # noqa: S101 - a pipe
        for line in self._process.stdout:
            if not line.endswith(b"\n"):
                break
            message = MESSAGE.validate_json(line)
            message.raise_error()
            if message.receipt is not None:
                return message.receipt
            self.began = message.began
        return None

    def end(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()

    def _say(self, line: bytes) -> None:
        assert self._process.stdin is not None  # noqa: S101 - a pipe
        # One that has ended is found by its silence.
        with suppress(BrokenPipeError):
            self._process.stdin.write(line + b"\n")
            self._process.stdin.flush()
