"""The method: two ways to the same result alternate, and each turn gives one ratio.

A machine that is slow for a while is slow for both, so ratios hold where times do not. What is reported is the median
of the ratios and the quartiles around it. CPU seconds are those of the processes that do the work: the service's, or
for what runs in this process its own.
"""

import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from rich.progress import track


@dataclass(frozen=True)
class Way:
    """One way to the result.

    Attributes:
        run: does it for one input and returns the seconds it took.
        cpu: the CPU seconds used so far by the processes that do it.
    """

    run: Callable[[Any], float]
    cpu: Callable[[], float] = time.process_time

    @classmethod
    def timed(cls, call: Callable[[Any], object], cpu: Callable[[], float] = time.process_time) -> "Way":
        """A way that is a plain call."""

        def run(each: Any) -> float:
            started = time.perf_counter()
            call(each)
            return time.perf_counter() - started

        return cls(run, cpu)


@dataclass
class Turns:
    """Measurements of one way: seconds for each turn, and CPU seconds over all turns."""

    seconds: list[float] = field(default_factory=list)
    cpu: float = 0.0

    def take(self, way: Way, each: Any) -> None:
        """One turn."""
        before = way.cpu()
        self.seconds.append(way.run(each))
        self.cpu += way.cpu() - before


@dataclass(frozen=True)
class Pairs:
    """Measurements of both ways."""

    ours: Turns
    theirs: Turns

    def ratios(self) -> tuple[float, float, float]:
        """Our time over theirs: lower quartile, median, upper quartile of the turns."""
        each = [ours / theirs for ours, theirs in zip(self.ours.seconds, self.theirs.seconds, strict=True)]
        low, median, high = statistics.quantiles(each, n=4, method="inclusive")
        return low, median, high


def compare(name: str, ours: Way, theirs: Way, inputs: Iterable[Any], *, warm_up: int = 5) -> Pairs:
    """Run both ways on each of `inputs`, theirs first.

    Args:
        name: shown with the progress.
        ours: what is measured.
        theirs: what it is measured against.
        inputs: one input for each turn, all different, so that no cache is measured.
        warm_up: how many turns at the start do not count.
    """
    pairs = Pairs(Turns(), Turns())
    for number, each in enumerate(track(list(inputs), description=name, transient=True)):
        counted = pairs if number >= warm_up else Pairs(Turns(), Turns())
        counted.theirs.take(theirs, each)
        counted.ours.take(ours, each)
    return pairs
