"""What a data set is: a list of images, each read when its turn comes."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from pydantic import TypeAdapter

from layerscope.errors import BodyTooLarge, DataSetUnreadable, InputChanged
from layerscope.execution.inputs import Source


@dataclass(frozen=True, slots=True)
class Row:
    """One image of a data set, as the manifest lists it.

    Attributes:
        path: its name within the data set.
        nbytes: its length; another one later means that the data set has changed. -1 if it is not known.
        changed: what is another after a change: that of its file or archive, see `Stamp`, or a checksum.
        position: where it is within a file of many; None for a file of its own.
        label: what it shows; None if nobody has said.
    """

    path: str
    nbytes: int
    changed: int | str | None = None
    position: int | None = None
    label: str | None = None


ROW = TypeAdapter(Row)


class DataSet(Protocol):
    """Images that can be listed, and read one at a time from any thread."""

    def rows(self) -> Iterator[Row]:
        """All images, always in the same order.

        Raises:
            DataSetUnreadable: the data set cannot be read.
            SourceUnreachable: its place cannot be reached.
        """

    def read(self, row: Row, most_bytes: int) -> Source:
        """One image, tensor or text.

        Raises:
            InputChanged: it is not there any more, or is another than was listed.
            BodyTooLarge: it is longer than `most_bytes`.
            TextUnreadable: it should be a text, and is none.
            SourceUnreachable: the place of the data set cannot be reached; it says nothing of the image.
        """


def require_short(row: Row, most_bytes: int) -> None:
    """Check the length of an image before it is read."""
    if row.nbytes > most_bytes:
        message = f"{row.path} takes {row.nbytes:,} bytes; at most {most_bytes:,} are read"
        raise BodyTooLarge(message, ways=("make it smaller",), bytes=row.nbytes, limit=most_bytes)


def input_changed(row: Row) -> InputChanged:
    """The error for an image that is another than was listed."""
    return InputChanged(f"{row.path} has changed since the images were listed.", path=row.path)


@contextmanager
def reading(row: Row) -> Iterator[None]:
    """Turn errors of the disk, while an image is read, into one.

    Raises:
        InputChanged: it cannot be read.
    """
    try:
        yield
    except (OSError, ValueError) as error:
        raise InputChanged(f"{row.path} cannot be read: {_reason(error)}.", path=row.path) from error


@contextmanager
def listing(name: str) -> Iterator[None]:
    """Turn errors of the disk, while a data set is listed, into one.

    Raises:
        DataSetUnreadable: it cannot be listed.
    """
    try:
        yield
    except OSError as error:
        raise DataSetUnreadable(f"{name} cannot be read: {_reason(error)}.") from error


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error).rstrip(".")
