"""What is remembered of the files of a version that were fetched, in `fetched.json` among them."""

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from layerscope.models.directory import FETCHED
from layerscope.models.mirrors.places import Files
from layerscope.models.regular_files import read_record


class FetchedFile(BaseModel):
    """The record of one fetched file.

    Attributes:
        tag: the tag that its place listed then; it changes with the content.
        size: in bytes.
        digest: SHA-256 of its content.
    """

    model_config = ConfigDict(frozen=True)

    tag: str | None
    size: int
    digest: str


class Fetched(BaseModel):
    """The record of all fetched files of a version, by path within it."""

    model_config = ConfigDict(frozen=True)

    files: dict[str, FetchedFile] = {}

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The record of a version; an empty one if it is missing or cannot be read."""
        try:
            return cls.model_validate_json(read_record(folder / FETCHED))
        except (OSError, ValidationError):
            return cls()

    def is_of(self, files: Files) -> bool:
        """Whether a place still lists the same files."""
        return files.keys() == self.files.keys() and all(
            self.has(path, file.tag) for path, file in files.items()
        )

    def has(self, path: str, tag: str | None) -> bool:
        """Whether a file with this tag was fetched. Without a tag that is unknown, and the answer is no."""
        known = self.files.get(path)
        return known is not None and tag is not None and known.tag == tag

    @property
    def size(self) -> int:
        """The size of all files, in bytes."""
        return sum(each.size for each in self.files.values())

    def is_whole(self, folder: Path) -> bool:
        """Whether a folder has the files in their full length."""
        try:
            return all((folder / path).stat().st_size == each.size for path, each in self.files.items())
        except OSError:
            return False

    def has_equal_content(self, other: Self) -> bool:
        """Whether the files have the same content, by digest."""
        return {path: each.digest for path, each in self.files.items()} == {
            path: each.digest for path, each in other.files.items()
        }
