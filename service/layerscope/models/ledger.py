"""What is remembered of a model from one start of a service to the next, in `DIR/<name>/ledger.json`."""

import logging
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from layerscope.models.durable import storing, synchronise_folder, write_durably
from layerscope.models.manifest import Label

logger = logging.getLogger(__name__)

LEDGER = "ledger.json"


class Ledger(BaseModel):
    """What was done to a model's versions.

    Attributes:
        labels: the versions that labels were made to point at; None for one that was taken away. They come before those
            that are declared.
        last: the highest version that was ever removed: its number is not given again, because answers for a version
            may be kept by whoever asked.
    """

    model_config = ConfigDict(frozen=True)

    labels: dict[Label, int | None] = {}
    last: int = 0

    @classmethod
    def read(cls, directory: Path, name: str) -> "Ledger":
        """That of a model; an empty one if there is none, or none that can be read."""
        try:
            return cls.model_validate_json((directory / name / LEDGER).read_bytes())
        except FileNotFoundError:
            return cls()
        except (OSError, ValidationError) as error:
            logger.warning("the %s of %s is passed over: %s", LEDGER, name, error)
            return cls()

    def write(self, directory: Path, name: str) -> None:
        """Keep it.

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
        """With one label elsewhere."""
        return self.model_copy(update={"labels": {**self.labels, label: version}})

    def without(self, version: int) -> "Ledger":
        """With a version removed."""
        labels = {label: other for label, other in self.labels.items() if other != version}
        return Ledger(labels=labels, last=max(self.last, version))
