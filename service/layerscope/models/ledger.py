"""The ledger of a model, `DIR/<name>/ledger.json`: what callers asked for, for later starts and for other services."""

from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from layerscope.errors import ControlRefused
from layerscope.models.durable import storing, synchronise_folder, write_durably
from layerscope.models.file_lock import locked
from layerscope.models.manifest import Label
from layerscope.models.regular_files import read_record

LEDGER = "ledger.json"

_LOCK = ".ledgers.lock"
"""Held in the directory of models while a ledger is changed."""


class Ledger(BaseModel):
    """What callers asked for of a model: labels, versions out of memory, and removals.

    Attributes:
        labels: the version that each label points at; None for a label that was deleted. They override the labels of a
            declaration.
        unloaded: the versions that are not to be in memory, where the service follows the directory (`control=poll`).
        last: the highest version that was ever removed. Its number is not used again, because clients may have cached
            results of that version.
    """

    model_config = ConfigDict(frozen=True)

    labels: dict[Label, int | None] = {}
    unloaded: frozenset[int] = frozenset()
    last: int = 0

    @classmethod
    def read(cls, directory: Path, name: str) -> "Ledger":
        """The ledger of a model; an empty one if there is none.

        Raises:
            OSError, ValidationError: it cannot be read.
        """
        try:
            return cls.model_validate_json(read_record(directory / name / LEDGER))
        except (FileNotFoundError, NotADirectoryError):
            return cls()

    @classmethod
    def read_to_change(cls, directory: Path, name: str) -> "Ledger":
        """The ledger of a model, which is to be replaced by a changed one; an empty one if there is none.

        Raises:
            ControlRefused: it cannot be read. What it says about version numbers must not be lost.
        """
        try:
            return cls.read(directory, name)
        except (OSError, ValidationError) as error:
            raise ControlRefused(
                f"The {LEDGER} of {name} cannot be read: an operator must repair or delete it.", model=name
            ) from error

    @classmethod
    def change(cls, directory: Path, name: str, change: Callable[["Ledger"], "Ledger"]) -> "Ledger":
        """Replace the ledger of a model by a changed one, while no other process changes it.

        Returns:
            The changed ledger.

        Raises:
            StorageFull, ControlRefused, SourceUnreachable: see `read_to_change` and `storing`.
        """
        with storing(), locked(directory / _LOCK):
            changed = change(cls.read_to_change(directory, name))
            changed.write(directory, name)
        return changed

    def write(self, directory: Path, name: str) -> None:
        """Write it to the disk, while no other process does; see `change`.

        Raises:
            StorageFull, ControlRefused, SourceUnreachable: see `storing`.
        """
        folder = directory / name
        with storing():
            if not folder.is_dir():
                folder.mkdir()
                synchronise_folder(directory)
            write_durably(folder / LEDGER, self.model_dump_json())

    def with_label(self, label: Label, version: int | None) -> "Ledger":
        """A copy with one label assigned to a version, or with None deleted."""
        return self.model_copy(update={"labels": {**self.labels, label: version}})

    def with_unloaded(self, version: int, *, unloaded: bool) -> "Ledger":
        """A copy in which a version is not to be in memory, or with `unloaded` False is to be."""
        others = self.unloaded - {version}
        return self.model_copy(update={"unloaded": others | {version} if unloaded else others})

    def without(self, version: int) -> "Ledger":
        """A copy without a version and the labels that point at it."""
        labels = {label: other for label, other in self.labels.items() if other != version}
        return Ledger(labels=labels, unloaded=self.unloaded - {version}, last=max(self.last, version))
