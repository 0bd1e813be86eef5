"""Timings: where the time of a query goes, as durations that mean the same in every process."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

STAGES = ("decode", "queue", "run")
"""The stages that every answer reports, even if they took no time: images are decoded, wait in a queue, and are run."""


@dataclass(frozen=True, slots=True)
class Timing:
    """The time that one stage of a query took.

    Attributes:
        stage: what was done: `decode`, `queue`, `run`, `watch` or `encode`.
        offset: seconds from the beginning of the query to the beginning of the stage.
        seconds: how long the stage took.
    """

    stage: str
    offset: float
    seconds: float

    def shifted(self, seconds: float) -> "Timing":
        """The same stage, counted from a moment that lies so many seconds before the beginning of the query."""
        return Timing(self.stage, self.offset + seconds, self.seconds)


class Stopwatch:
    """A clock that begins at zero when it is made, and the timings that were taken by it.

    Moments of `time.monotonic` mean nothing in another process. So they stay in here, and only durations leave.

    Attributes:
        timings: what was timed, in the order in which it ended.
    """

    def __init__(self) -> None:
        self._began = time.monotonic()
        self.timings: list[Timing] = []

    @property
    def seconds(self) -> float:
        """Seconds since the stopwatch was made."""
        return time.monotonic() - self._began

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Take the time of a stage, which lasts as long as the context."""
        started = time.monotonic()
        try:
            yield
        finally:
            self.add(stage, started, time.monotonic() - started)

    def add(self, stage: str, started: float, seconds: float) -> None:
        """Note the time of a stage that was timed elsewhere in this process.

        Args:
            stage: its name.
            started: when it began, on the clock of `time.monotonic`.
            seconds: how long it took.
        """
        self.timings.append(Timing(stage, started - self._began, seconds))


def seconds_by_stage(timings: Iterable[Timing]) -> dict[str, float]:
    """How long each stage took in all; 0 for those of `STAGES` without a timing."""
    taken = dict.fromkeys(STAGES, 0.0)
    for timing in timings:
        taken[timing.stage] = taken.get(timing.stage, 0.0) + timing.seconds
    return taken
