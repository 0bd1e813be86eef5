"""What a data set is: a list of images, each read when its turn comes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from pydantic import TypeAdapter

from layerscope.execution.inputs import Source


@dataclass(frozen=True, slots=True)
class Row:
    """One image of a data set, as the manifest lists it.

    Attributes:
        path: its name within the data set.
        nbytes: its length; another one later means that the data set has changed.
        changed: what is another number after a change: the time of its file or archive in nanoseconds, or a checksum.
        place: where it is within a file of many; None for a file of its own.
    """

    path: str
    nbytes: int
    changed: int | None = None
    place: int | None = None


ROW = TypeAdapter(Row)


class DataSet(Protocol):
    """Images that can be listed, and read one at a time from any thread."""

    def rows(self) -> Iterator[Row]:
        """All images, always in the same order.

        Raises:
            DataSetUnreadable: the data set cannot be read.
        """

    def read(self, row: Row, most_bytes: int) -> Source:
        """One image.

        Raises:
            InputChanged: it is not there any more, or is another than was listed.
            BodyTooLarge: it is longer than `most_bytes`.
        """
