"""The labels of models, which outlast the service in the ledgers of a directory."""

from collections.abc import Mapping
from pathlib import Path

from layerscope.models.directory import ModelSource
from layerscope.models.entry import Loaded
from layerscope.models.ledger import Ledger


class LabelLedgers:
    """Reads and writes the labels of every model of a directory.

    Args:
        directory: the directory of models.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def assigned(self, name: str) -> Mapping[str, int | None]:
        """The labels that callers assigned to versions of a model; None for one that they deleted."""
        return Ledger.read(self._directory, name).labels

    def of_version(self, source: ModelSource, model: Loaded) -> set[str]:
        """The labels that point at a version: those assigned to it, and those of its declaration that were not assigned."""
        assigned = self.assigned(source.name)
        own = {label for label, version in assigned.items() if version == source.version}
        return own.union(label for label in model.labels if label not in assigned)

    def assign(self, name: str, label: str, version: int | None) -> None:
        """Write down that a label points at a version, or with None at nothing.

        Raises:
            StorageFull: there is no room.
            ControlRefused: the directory may not be written, or the ledger cannot be read.
        """
        Ledger.read_to_change(self._directory, name).with_label(label, version).write(self._directory, name)
