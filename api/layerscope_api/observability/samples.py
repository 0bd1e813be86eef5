"""The values of metrics at one moment, by name and labels."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Samples:
    """Values by name and labels."""

    values: Mapping[tuple[str, frozenset[tuple[str, str]]], float]

    def value(self, name: str, **labels: str) -> float:
        """One value; 0 where nothing was counted yet."""
        return self.values.get((name, frozenset(labels.items())), 0.0)

    def total(self, name: str, **labels: str) -> float:
        """The sum of all values of a name that have at least these labels."""
        wanted = frozenset(labels.items())
        return sum(
            value for (found, others), value in self.values.items() if found == name and wanted <= others
        )
