"""The ledgers of the models in a directory: what callers asked for, for all services over the directory and for later starts."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from pydantic import ValidationError

from layerscope.models.ledger import LEDGER, Ledger

logger = logging.getLogger(__name__)


class Ledgers:
    """Reads and changes the ledger of every model of a directory.

    Args:
        directory: the directory of models.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._known: dict[str, Ledger] = {}
        self._seen: dict[str, Ledger] = {}
        self._unreadable: set[str] = set()

    def read(self, name: str) -> Ledger:
        """The ledger of a model as it is now or, while it cannot be read, as it was before; an empty one if there is none."""
        try:
            self._known[name] = Ledger.read(self._directory, name)
        except (OSError, ValidationError) as error:
            if name not in self._unreadable:
                logger.warning("the %s of %s is passed over: %s", LEDGER, name, error)
            self._unreadable.add(name)
        else:
            self._unreadable.discard(name)
        return self._known.get(name, Ledger())

    def look(self, name: str) -> tuple[Ledger, Ledger]:
        """The ledger of a model at the last look, empty at the first, and as it is now; see `read`."""
        before = self._seen.get(name, Ledger())
        self._seen[name] = self.read(name)
        return before, self._seen[name]

    def labels(self, name: str) -> Mapping[str, int | None]:
        """The labels that callers assigned to versions of a model; None for one that they deleted."""
        return self.read(name).labels

    def assign(self, name: str, label: str, version: int | None) -> None:
        """Write down that a label points at a version, or with None at nothing.

        Raises:
            StorageFull: there is no room.
            ControlRefused: the directory may not be written, or the ledger cannot be read.
        """
        self._change(name, lambda ledger: ledger.with_label(label, version))

    def note_unloaded(self, name: str, version: int, *, unloaded: bool) -> None:
        """Write down whether a version is not to be in memory.

        Raises:
            StorageFull, ControlRefused: see `assign`.
        """
        if (version in self.read(name).unloaded) != unloaded:
            self._change(name, lambda ledger: ledger.with_unloaded(version, unloaded=unloaded))
        # Another service may undo it before the next look, which must find that.
        self._seen[name] = self._seen.get(name, Ledger()).with_unloaded(version, unloaded=unloaded)

    def _change(self, name: str, change: Callable[[Ledger], Ledger]) -> None:
        self._known[name] = Ledger.change(self._directory, name, change)
