"""A registered data set: what is known of it, and its images by their numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Protocol

import numpy as np
from pydantic import TypeAdapter

from layerscope.errors import DataSetNotFound
from layerscope.execution.inputs import Source
from layerscope.extraction.data_sets import ROW, DataSet, Row
from layerscope.extraction.places import Directory

RECORD_FILE, ROWS_FILE, ENDS_FILE = "data_set.json", "rows.jsonl", "ends.bin"

_END = np.dtype("<i8")


@dataclass(frozen=True, kw_only=True)
class DataSetRecord:
    """What is known of a data set without its list of images.

    Attributes:
        name: what requests call it.
        data: where its images are, as the caller wrote it.
        labels: where its labels are from, as the caller wrote it.
        digest: SHA-256 of the frozen list: of paths, lengths, times of the last change, and labels.
        images: how many it has.
        nbytes: of all images together, as they were listed.
        counts: how many images have each label; those without a label are not in it.
        created: when it was registered.
    """

    name: str
    data: str
    labels: str
    digest: str
    images: int
    nbytes: int
    counts: Mapping[str, int]
    created: datetime

    @property
    def unlabelled(self) -> int:
        """How many images have no label."""
        return self.images - sum(self.counts.values())

    def is_same(self, other: "DataSetRecord") -> bool:
        """Whether both are of the same images with the same labels."""
        mine, others = ((each.data, each.labels, each.digest) for each in (self, other))
        return mine == others


RECORD = TypeAdapter(DataSetRecord)


class Places(Protocol):
    """What references such as `photos:2026/` mean."""

    def data_set(self, reference: str) -> DataSet:
        """The data set that is there."""

    def file(self, reference: str) -> Path:
        """The file that is there."""


class RegisteredDataSet:
    """The images of a registered data set. Safe to use from many threads.

    Args:
        folder: where its list is.
        record: what is known of it.
        places: what its reference means.

    Attributes:
        record: what is known of it.
        manifest: the frozen list of its images, which a job copies.
    """

    def __init__(self, folder: Path, record: DataSetRecord, places: Places) -> None:
        self.record = record
        self.manifest = folder / ROWS_FILE
        self._place = Directory(folder)
        self._places = places

    def rows(self, start: int, count: int) -> list[Row]:
        """Up to `count` images, from the number `start` on.

        Raises:
            DataSetNotFound: the data set was deleted meanwhile.
        """
        end = min(start + count, self.record.images)
        if not 0 <= start < end:
            return []
        # With the end of the line before them, where they begin.
        before = max(0, start - 1)
        try:
            ends = self._place.read(ENDS_FILE, before * _END.itemsize, (end - before) * _END.itemsize)
            places = np.frombuffer(ends, _END).tolist()
            begin = places[0] if start else 0
            lines = self._place.read(ROWS_FILE, begin, places[-1] - begin)
        except FileNotFoundError as error:
            raise not_found(self.record.name) from error
        return [ROW.validate_json(line) for line in lines.splitlines()]

    def row(self, number: int) -> Row:
        """One image.

        Raises:
            DataSetNotFound: there are not so many, or the data set was deleted meanwhile.
        """
        for row in self.rows(number, 1):
            return row
        name, images = self.record.name, self.record.images
        raise DataSetNotFound(
            f"The data set {name} has {images:,} images, numbered from 0 on: there is no {number}.",
            data_set=name,
            images=images,
        )

    def read(self, row: Row, most_bytes: int) -> Source:
        """The content of an image.

        Raises:
            InputChanged: it is not there any more, or is another than when the data set was registered.
            BodyTooLarge: it is longer than `most_bytes`.
            DataSetUnreadable, OptionInvalid, PlaceNotFound, SourceUnreachable: the place of its images is not there any more.
        """
        return self._data_set.read(row, most_bytes)

    @cached_property
    def _data_set(self) -> DataSet:
        return self._places.data_set(self.record.data)


def write_ends(folder: Path) -> None:
    """Write where the lines of a list end, so that any of them is found without those before it."""
    with (folder / ROWS_FILE).open("rb") as file:
        np.fromiter(accumulate(map(len, file)), _END).tofile(folder / ENDS_FILE)


def not_found(name: str) -> DataSetNotFound:
    """The error for a name that no data set has."""
    return DataSetNotFound(f"There is no data set {name[:80]!r}.", data_set=name[:80])
