"""The ledger of a model, `DIR/<name>/ledger.json`: what a service remembers of it from one start to the next."""

import logging
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from layerscope.errors import ControlRefused
from layerscope.models.durable import storing, synchronise_folder, write_durably
from layerscope.models.manifest import Label
from layerscope.models.regular_files import read_record

logger = logging.getLogger(__name__)

LEDGER = "ledger.json"


class Ledger(BaseModel):
    """The labels that callers assigned to a model's versions, and its highest removed version.

    Attributes:
        labels: the version that each label points at; None for a label that was deleted. They override the labels of a
            declaration.
        last: the highest version that was ever removed. Its number is not used again, because clients may have cached
            results of that version.
    """

    model_config = ConfigDict(frozen=True)

    labels: dict[Label, int | None] = {}
    last: int = 0

    @classmethod
    def read(cls, directory: Path, name: str) -> "Ledger":
        """The ledger of a model; an empty one if it is missing or cannot be read."""
        try:
            return cls._read(directory / name / LEDGER)
        except (OSError, ValidationError) as error:
            logger.warning("the %s of %s is passed over: %s", LEDGER, name, error)
            return cls()

    @classmethod
    def read_to_change(cls, directory: Path, name: str) -> "Ledger":
        """The ledger of a model, which is to be replaced by a changed one; an empty one if it is missing.

        Raises:
            ControlRefused: it cannot be read. What it says about version numbers must not be lost.
        """
        try:
            return cls._read(directory / name / LEDGER)
        except (OSError, ValidationError) as error:
            raise ControlRefused(
                f"The {LEDGER} of {name} cannot be read: an operator must repair or delete it.", model=name
            ) from error

    @classmethod
    def _read(cls, path: Path) -> "Ledger":
        try:
            return cls.model_validate_json(read_record(path))
        except (FileNotFoundError, NotADirectoryError):
            return cls()

    def write(self, directory: Path, name: str) -> None:
        """Write it to the disk.

        Raises:
            StorageFull, ControlRefused: see `storing`.
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

    def without(self, version: int) -> "Ledger":
        """A copy without a version and the labels that point at it."""
        labels = {label: other for label, other in self.labels.items() if other != version}
        return Ledger(labels=labels, last=max(self.last, version))
