"""The runner that does shards in processes of this machine, and outlives each of them.

    runner ── an Order, one JSON object a line ──▶ worker: `python -m layerscope.extraction.runners.worker`
           ◀── a Message a line: the receipt, the image that it begins with, or why the job cannot go on

Each worker has a pipe of its own: a queue that they share is broken for all by one that dies with its lock. A shard that ended its
process three times is done again one image after the other, and the image that ends the process then is listed as failed.
"""

import os
import selectors
import subprocess
import sys
from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from pydantic import TypeAdapter

from layerscope.errors import RunFailed, error_with_code
from layerscope.extraction.job import Receipt
from layerscope.extraction.output import Output
from layerscope.graph.loading.prepared_files import PreparedFiles

_DEATHS = 3
"""How often a shard may end its process before it is done one image after the other."""


@dataclass(frozen=True)
class Order:
    """A shard for a worker to do; see `Extractor.do`."""

    shard: int
    skipped: tuple[int, ...] = ()
    one_by_one: bool = False


@dataclass(frozen=True)
class Setup:
    """The first line for a worker: the address of the job's result, and where opened models are kept."""

    address: str
    prepared: PreparedFiles | None


@dataclass(frozen=True)
class Message:
    """What a worker says: one of these."""

    receipt: Receipt | None = None
    began: int | None = None
    error: tuple[str, str, dict[str, object]] | None = None


ORDER = TypeAdapter(Order)
SETUP = TypeAdapter(Setup)
MESSAGE = TypeAdapter(Message)


class _Worker:
    """A running worker process.

    Attributes:
        order: what it does now; None if it has nothing to do.
        began: the image that it began with last, if it does one after the other.
    """

    def __init__(self, setup: Setup) -> None:
        self.order: Order | None = None
        self.began: int | None = None
        self._rest = b""
        self._process = subprocess.Popen(  # noqa: S603 - nothing in the command comes from outside
            [sys.executable, "-P", "-m", "layerscope.extraction.runners.worker", str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            process_group=0,
        )
        self._say(SETUP.dump_json(setup))

    def fileno(self) -> int:
        """Where its messages come from."""
        assert self._process.stdout is not None  # noqa: S101 - a pipe
        return self._process.stdout.fileno()

    def begin(self, order: Order) -> None:
        """Give it a shard."""
        self.order, self.began = order, None
        self._say(ORDER.dump_json(order))

    def messages(self) -> list[Message] | None:
        """What it has said since; None if it has ended."""
        data = os.read(self.fileno(), 1 << 16)
        if not data:
            return None
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [MESSAGE.validate_json(line) for line in lines]

    def end(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.communicate()

    def _say(self, line: bytes) -> None:
        assert self._process.stdin is not None  # noqa: S101 - a pipe
        # One that has ended is found by its silence.
        with suppress(BrokenPipeError):
            self._process.stdin.write(line + b"\n")
            self._process.stdin.flush()


@dataclass
class _Work:
    """What is left to do.

    Attributes:
        waiting: the orders that no worker has.
        deaths: how often each shard ended its process.
        skipped: the images of each shard that are known to.
        idle_deaths: how many workers in a row ended before they did anything.
    """

    waiting: deque[Order]
    deaths: Counter[int] = field(default_factory=Counter)
    skipped: dict[int, set[int]] = field(default_factory=lambda: defaultdict(set))
    idle_deaths: int = 0

    def died(self, worker: _Worker) -> None:
        """Put back what a worker had that ended.

        Raises:
            RunFailed: workers end before they begin.
        """
        self.idle_deaths += 1
        order = worker.order
        if order is not None:
            self.deaths[order.shard] += 1
            if worker.began is not None:
                self.skipped[order.shard].add(worker.began)
                self.idle_deaths = 0
            skipped = tuple(sorted(self.skipped[order.shard]))
            self.waiting.appendleft(Order(order.shard, skipped, self.deaths[order.shard] >= _DEATHS))
        if self.idle_deaths > 2 * _DEATHS:
            raise RunFailed("The processes that extract end before they do anything: see what they print.")


class Processes:
    """Workers on this machine.

    Args:
        count: how many.
        prepared: where opened models are kept.
    """

    def __init__(self, count: int, prepared: PreparedFiles | None = None) -> None:
        self._count = count
        self._prepared = prepared

    def map(self, output: Output, shards: Sequence[int]) -> Iterator[Receipt]:
        """Do the shards. They end in any order."""
        setup = Setup(output.address, self._prepared)
        work = _Work(deque(map(Order, shards)))
        workers: set[_Worker] = set()
        try:
            with selectors.DefaultSelector() as selector:
                while work.waiting or any(each.order for each in workers):
                    self._fill(workers, work, setup, selector)
                    for key, _ in selector.select():
                        worker: _Worker = key.fileobj  # type: ignore[assignment]  # what was registered
                        said = worker.messages()
                        if said is None:
                            selector.unregister(worker)
                            workers.remove(worker)
                            worker.end()
                            work.died(worker)
                        for message in said or []:
                            yield from _heard(message, worker, work)
        finally:
            for each in workers:
                each.end()

    def _fill(
        self, workers: set[_Worker], work: _Work, setup: Setup, selector: selectors.BaseSelector
    ) -> None:
        """Have as many workers as there is work for, each with a shard."""
        for worker in workers:
            if worker.order is None and work.waiting:
                worker.begin(work.waiting.popleft())
        while work.waiting and len(workers) < self._count:
            worker = _Worker(setup)
            workers.add(worker)
            selector.register(worker, selectors.EVENT_READ)
            worker.begin(work.waiting.popleft())


def _heard(message: Message, worker: _Worker, work: _Work) -> Iterator[Receipt]:
    if message.error is not None:
        raise error_with_code(*message.error)
    if message.began is not None:
        worker.began = message.began
    if message.receipt is not None:
        worker.order = None
        work.idle_deaths = 0
        yield message.receipt
