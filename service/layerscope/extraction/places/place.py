"""What a place is: a folder with files, which are written whole or not at all."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells whether a file is the one that was seen before.

    Attributes:
        nbytes: its length.
        changed: when it was changed last, in nanoseconds, or a tag that the place gives to its content.
    """

    nbytes: int
    changed: int | str | None


class Place(Protocol):
    """A folder. Paths in it have slashes.

    Every method raises `FileNotFoundError` for a file that is not there. A directory raises `OSError` for what goes wrong otherwise, and
    a remote place `SourceUnreachable`.

    Attributes:
        address: names it for another process, and in messages.
    """

    address: str

    def exists(self) -> bool:
        """Whether the folder is there."""

    def files(self, below: str = "") -> Iterator[tuple[str, Stamp]]:
        """All files below a folder, by path in the place, without hidden ones; none if there is no such folder."""

    def matching(self, pattern: str) -> list[str]:
        """The paths of the files that a pattern matches, as `glob` reads it: `photos/**/*.jpg`."""

    def stamp(self, path: str) -> Stamp:
        """What tells whether a file is the same as before."""

    def open(self, path: str) -> BinaryIO:
        """A file, for reading at any position."""

    def read(self, path: str, start: int, length: int) -> bytes:
        """A part of a file; it is shorter where the file ends."""

    def make(self) -> None:
        """Make sure that files can be written.

        Raises:
            OptionInvalid: a file could be seen there before it is whole.
        """

    def writing(self, path: str, last: str = "") -> AbstractContextManager[Path]:
        """Write a file, or a folder of files, to the path that is given: at the end of the block it is in the place, whole.

        Args:
            path: where it is to be.
            last: of a folder, the file that appears when all others are there.
        """

    def delete(self, path: str) -> None:
        """Delete a file, if it is there."""

    def sweep(self) -> None:
        """Delete what killed processes left half written."""
