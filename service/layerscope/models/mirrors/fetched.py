"""What is remembered of the files of a version that were fetched, in `fetched.json` among them."""

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from layerscope.models.directory import FETCHED
from layerscope.models.mirrors.places import Files


class FetchedFile(BaseModel):
    """One file.

    Attributes:
        tag: what its place said then that changes with its content.
        size: in bytes.
        digest: SHA-256 of its content.
    """

    model_config = ConfigDict(frozen=True)

    tag: str | None
    size: int
    digest: str


class Fetched(BaseModel):
    """All files of a version, by path within it."""

    model_config = ConfigDict(frozen=True)

    files: dict[str, FetchedFile] = {}

    @classmethod
    def read(cls, folder: Path) -> Self:
        """That of a version; an empty one if there is none, or none that can be read."""
        try:
            return cls.model_validate_json((folder / FETCHED).read_bytes())
        except (OSError, ValidationError):
            return cls()

    def is_of(self, files: Files) -> bool:
        """Whether a place has the same files still."""
        return files.keys() == self.files.keys() and all(
            self.has(path, file.tag) for path, file in files.items()
        )

    def has(self, path: str, tag: str | None) -> bool:
        """Whether a file was fetched that has this tag, and another one would have another."""
        known = self.files.get(path)
        return known is not None and tag is not None and known.tag == tag

    @property
    def size(self) -> int:
        """What the files take together, in bytes."""
        return sum(each.size for each in self.files.values())

    def is_whole(self, folder: Path) -> bool:
        """Whether the files are in a folder, in their full length."""
        try:
            return all((folder / path).stat().st_size == each.size for path, each in self.files.items())
        except OSError:
            return False

    def has_equal_content(self, other: Self) -> bool:
        """Whether the files are the same, whatever their places say."""
        return {path: each.digest for path, each in self.files.items()} == {
            path: each.digest for path, each in other.files.items()
        }
