"""The values of metrics at one moment, by name and labels."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import add

from prometheus_client.metrics_core import Metric

_WORKER = "worker"
"""The label that tells workers apart."""


@dataclass(frozen=True)
class Samples:
    """Values by name and labels."""

    values: Mapping[tuple[str, frozenset[tuple[str, str]]], float]

    @classmethod
    def of(cls, metrics: Iterable[Metric]) -> "Samples":
        """The current values, those of all workers together: counts are added, and of a gauge the highest one is taken."""
        values: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
        for metric in metrics:
            combine = max if metric.type == "gauge" else add
            for sample in metric.samples:
                labels = frozenset(item for item in sample.labels.items() if item[0] != _WORKER)
                key = sample.name, labels
                values[key] = combine(values[key], sample.value) if key in values else sample.value
        return cls(values)

    def value(self, name: str, **labels: str) -> float:
        """One value; 0 where nothing was counted yet."""
        return self.values.get((name, frozenset(labels.items())), 0.0)

    def total(self, name: str, **labels: str) -> float:
        """The sum of all values of a name that have at least these labels."""
        wanted = frozenset(labels.items())
        return sum(
            value for (found, others), value in self.values.items() if found == name and wanted <= others
        )
