"""Execution: the work on one request in a thread, which is cancelled when the caller leaves and whose time is taken."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from layerscope.execution.interface import CancellationToken, Engine, Progress, Query, QueryPlan, Result
from layerscope.tensors.timing import Stopwatch, Timing

Encoded = TypeVar("Encoded")


class Execution:
    """The work on one request.

    Args:
        stopwatch: began with the request.

    Attributes:
        cancellation: cancelled when the caller leaves, or when the time is up.
        timings: where the time went, from the beginning of the request on.
    """

    def __init__(self, stopwatch: Stopwatch) -> None:
        self.cancellation = CancellationToken()
        self.timings: list[Timing] = []
        self._stopwatch = stopwatch

    @contextmanager
    def run(
        self,
        engine: Engine,
        query: Query,
        answer_bytes: Callable[[QueryPlan], int],
        progress: Progress | None = None,
    ) -> Iterator[Result]:
        """Plan a query, admit it, and run it. Its memory counts as taken until the context ends.

        Args:
            engine: what runs it.
            query: what to compute.
            answer_bytes: tells from the plan the most memory that making the answer takes besides the values, or raises
                if the answer is impossible. Nothing has run yet.
            progress: is called with the number of runs of an attribution that are done, and with their total.

        Raises:
            LayerscopeError: the query or its answer is impossible, or there is no room or time for it.
        """
        began = self._stopwatch.seconds
        with engine.prepare(query) as prepared:
            plan = prepared.plan
            plan.require_computable()
            running = prepared.run(answer_bytes(plan), cancellation=self.cancellation, progress=progress)
            with running as result:
                self.timings += [timing.shifted(began) for timing in result.activations.timings]
                yield result

    def encoded(self, encode: Callable[[], Encoded]) -> Encoded:
        """What `encode` returns; the time it takes counts as the stage `encode`."""
        offset = self._stopwatch.seconds
        result = encode()
        self.timings.append(Timing("encode", offset, self._stopwatch.seconds - offset))
        return result
