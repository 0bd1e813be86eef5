"""The execution of one request in a worker thread: its cancellation, and the time of its stages."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from layerscope.execution.interface import CancellationToken
from layerscope.execution.working_memory import Account
from layerscope.tensors.timing import Stopwatch, Timing
from layerscope_api.context.turns import Turn


class Execution:
    """The execution of one request.

    Args:
        stopwatch: started with the request.
        account: the memory that the request holds.
        turn: the turn of the request, if it has one.

    Attributes:
        cancellation: cancelled when the client disconnects or the deadline is over. A run of TensorFlow cannot be
            interrupted, so the engine looks at the token between runs.
        timings: the time of each stage, from the beginning of the request on.
    """

    def __init__(self, stopwatch: Stopwatch, account: Account, turn: Turn | None = None) -> None:
        self.cancellation = CancellationToken()
        self.timings: list[Timing] = []
        self._stopwatch = stopwatch
        self.account = account
        self._turn = turn

    @property
    def seconds(self) -> float:
        """Seconds since the beginning of the request."""
        return self._stopwatch.seconds

    def end_turn(self) -> None:
        """Let other requests have their turns: this one waits from now on, for memory or for a run."""
        if self._turn is not None:
            self._turn.give_back()

    def add(self, timings: Sequence[Timing], began: float) -> None:
        """Add the stages of a query that began so many seconds after the request."""
        self.timings += [timing.shifted(began) for timing in timings]

    @contextmanager
    def encoding(self) -> Iterator[None]:
        """Count the time of the context as the stage `encode`."""
        began = self.seconds
        yield
        self.timings.append(Timing("encode", began, self.seconds - began))
