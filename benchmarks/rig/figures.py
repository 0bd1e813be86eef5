"""Figures: a measured number, what it was compared with, and its goal."""

import statistics
from dataclasses import asdict, dataclass
from typing import Any, Literal

from rig.paired import Pairs

Reading = Literal["x the time", "x as fast", "x the throughput"]


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One row of `docs/explanation/performance.md`.

    Attributes:
        what: what was measured.
        against: what it was measured against.
        value: the median.
        unit: unit of the value; it also says which way round a ratio is.
        low, high: the quartiles around the median, where there are several turns.
        cpu: the same ratio of CPU seconds.
        most, least: the goal, if there is one.
        details: the medians behind a ratio, and other values that explain it.
    """

    what: str
    against: str
    value: float
    unit: str
    low: float | None = None
    high: float | None = None
    cpu: float | None = None
    most: float | None = None
    least: float | None = None
    details: dict[str, Any]

    @property
    def reached(self) -> bool | None:
        """Whether the goal is reached; None without a goal."""
        if self.most is not None:
            return self.value <= self.most
        return None if self.least is None else self.value >= self.least

    def row(self) -> dict[str, Any]:
        """Row as JSON, numbers with three digits."""
        present = {name: value for name, value in asdict(self).items() if value is not None}
        goal = {} if self.reached is None else {"reached": self.reached}
        return {**{name: _rounded(value) for name, value in present.items()}, **goal}


def ratio(
    pairs: Pairs,
    *,
    what: str,
    against: str,
    unit: Reading,
    most: float | None = None,
    least: float | None = None,
    requests: int = 1,
    **details: Any,
) -> Figure:
    """The figure of a comparison.

    Args:
        pairs: what both ways took.
        what: what was measured.
        against: what it was measured against.
        unit: "x the time" is ours over theirs; the others are theirs over ours.
        most: the goal, for times.
        least: the goal, for speed and throughput.
        requests: how many requests a turn had.
        details: other values that explain the figure.
    """
    low, value, high = pairs.ratios()
    cpu = pairs.ours.cpu / pairs.theirs.cpu if pairs.ours.cpu and pairs.theirs.cpu else None
    if unit != "x the time":
        low, value, high, cpu = 1 / high, 1 / value, 1 / low, cpu and 1 / cpu
    return Figure(
        what=what,
        against=against,
        value=value,
        unit=unit,
        low=low,
        high=high,
        cpu=cpu,
        most=most,
        least=least,
        details={
            "ours_ms": 1000 * statistics.median(pairs.ours.seconds) / requests,
            "theirs_ms": 1000 * statistics.median(pairs.theirs.seconds) / requests,
            "turns": len(pairs.ours.seconds),
            **details,
        },
    )


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_rounded(each) for each in value]
    return float(f"{value:.3g}") if isinstance(value, float) else value
