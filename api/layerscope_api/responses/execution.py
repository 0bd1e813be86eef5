"""The execution of one request in a worker thread: its cancellation, and the time of its stages."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from layerscope.execution.interface import CancellationToken, Engine, Progress, Query, QueryPlan, Result
from layerscope.tensors.timing import Stopwatch, Timing

Encoded = TypeVar("Encoded")


class Execution:
    """The execution of one request.

    Args:
        stopwatch: started with the request.

    Attributes:
        cancellation: cancelled when the client disconnects or the deadline is over. TensorFlow cannot be interrupted while
            it runs, so the engine looks at it between its steps.
        timings: the time of each stage, from the beginning of the request on.
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
        """Plan a query, admit it, and run it. Its memory counts as used until the context ends.

        Args:
            engine: runs the query.
            query: what to compute.
            answer_bytes: gives the most bytes of memory that making the answer takes besides the values, from the plan. It
                raises if the answer is impossible; nothing has run by then.
            progress: is called with the number of finished runs of an attribution and their total.

        Raises:
            LayerscopeError: the query or its answer is impossible, or there is no memory or time for it.
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
        """Call `encode`, and count its time as the stage `encode`."""
        offset = self._stopwatch.seconds
        result = encode()
        self.timings.append(Timing("encode", offset, self._stopwatch.seconds - offset))
        return result
