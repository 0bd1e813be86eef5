"""Where the time of a request goes: the stages that it passes, and when."""

from collections.abc import Iterable
from dataclasses import dataclass

STAGES = ("decode", "queue", "run")
"""The stages that every answer has, if only for no time: images are decoded, wait for their turn, and are run."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Some time that a stage took: when it `started` on the clock of `time.monotonic`, and its `seconds`."""

    name: str
    started: float
    seconds: float


def seconds_by_stage(stages: Iterable[Stage]) -> dict[str, float]:
    """How long each stage took in all; 0 for those of `STAGES` that nothing is known of."""
    taken = dict.fromkeys(STAGES, 0.0)
    for stage in stages:
        taken[stage.name] = taken.get(stage.name, 0.0) + stage.seconds
    return taken
