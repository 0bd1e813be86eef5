"""The catalog: a folder of the operator's with one folder for each data set, which several processes may share.

    DIR/val/data_set.json    what is known of it
    DIR/val/rows.jsonl       the frozen list of its images
    DIR/val/ends.bin         where each line of the list ends

A data set appears by one rename, and goes by another. It never changes in between.
"""

import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from cachetools import LRUCache

from layerscope.errors import DataSetExists, DataSetNotFound, DataSetUnreadable, OptionInvalid, TooMany
from layerscope.extraction.catalog.labels import bounded, folder_of, labelled, read_table, with_column
from layerscope.extraction.catalog.registered import (
    RECORD,
    RECORD_FILE,
    ROWS_FILE,
    DataSetRecord,
    Places,
    RegisteredDataSet,
    not_found,
    write_ends,
)
from layerscope.extraction.data_sets import DataSet, Row
from layerscope.extraction.manifest import freeze
from layerscope.extraction.places import Directory
from layerscope.limits import Limits
from layerscope.models.durable import storing

DATA_SET_NAME = "[a-z0-9][a-z0-9._-]{0,63}"
"""The names that a data set may have, as a pattern."""

_NAME = re.compile(DATA_SET_NAME)

_NO_LABELS = "none"

_DIRECTORY = "The directory of data sets"

_KEPT_OPEN = 8
"""Data sets that are kept open: to open an archive takes long."""


class DataSetCatalog:
    """The registered data sets. Safe to use from many threads and processes.

    Args:
        directory: where they are kept; made when the first one is registered.
        places: what references mean.
        limits: the bounds in force.
    """

    def __init__(self, directory: Path, places: Places, limits: Limits) -> None:
        self._directory = Directory(directory)
        self._path = directory
        self._places = places
        self._limits = limits
        self._registering = threading.Lock()
        self._opened: LRUCache[tuple[str, int, int], RegisteredDataSet] = LRUCache(_KEPT_OPEN)
        self._opening = threading.Lock()

    def register(self, name: str, data: str, labels: str = "none") -> tuple[RegisteredDataSet, bool]:
        """Freeze the list of a data set under a name. One at a time: others wait.

        Args:
            name: lower case letters, digits, dots, dashes and underscores, at most 64.
            data: where its images are, a reference such as `photos:2026/`.
            labels: `folders` for the folder that each image is in, `column:` and the name of a column of a .parquet file that has
                the images, `csv:` and a reference for a table with the columns `path` and `label`, or `none`.

        Returns:
            The data set, and whether it is new: the same images under the same name again are the same data set.

        Raises:
            DataSetExists: the name has another data set.
            DataSetUnreadable: there are no images, or their labels cannot be read.
            OptionInvalid, PlaceNotFound: the name or a reference is not valid.
            TooMany: there are more data sets, images or labels than `limits` allow.
            StorageFull, SourceUnreachable, ControlRefused: the list cannot be written.
        """
        _require_name(name)
        with self._registering:
            rows = self._rows(self._places.data_set(data), labels)
            with storing(_DIRECTORY):
                self._directory.make()
                self._directory.sweep()
                self._require_room(name)
                with self._directory.writing(name, last=RECORD_FILE) as folder:
                    folder.mkdir()
                    record = self._write(folder, name, data, labels, rows)
        found = self.get(name)
        if not found.record.is_same(record):
            raise DataSetExists(
                f"The data set {name} is there with other images or labels: choose another name, or delete it first.",
                data_set=name,
            )
        return found, found.record == record

    def get(self, name: str) -> RegisteredDataSet:
        """The data set of a name.

        Raises:
            DataSetNotFound: there is none.
            OptionInvalid: the name is none that a data set can have.
            SourceUnreachable: the directory cannot be read.
        """
        _require_name(name)
        folder = self._path / name
        with _found(name):
            status = (folder / RECORD_FILE).stat()
        key = (name, status.st_ino, status.st_mtime_ns)
        with self._opening:
            if key not in self._opened:
                self._opened[key] = RegisteredDataSet(folder, self._record(name), self._places)
            return self._opened[key]

    def digests(self, names: Sequence[str]) -> dict[str, str]:
        """What names data sets as they are now, their places included.

        Raises:
            LayerscopeError: one of them is not there, see `get`.
        """
        records = [self.get(name).record for name in names]
        return {each.name: f"{each.data} {each.digest}" for each in records}

    def names(self) -> list[str]:
        """The names of all data sets, in order."""
        with storing(_DIRECTORY):
            if not self._directory.exists():
                return []
            return sorted(path.name for path in self._path.iterdir() if _NAME.fullmatch(path.name))

    def records(self, names: Sequence[str]) -> list[DataSetRecord]:
        """What is known of data sets. One that was deleted meanwhile is left out."""
        found: list[DataSetRecord] = []
        for name in names:
            with suppress(DataSetNotFound):
                found.append(self._record(name))
        return found

    def delete(self, name: str) -> None:
        """Forget a data set. Its images stay where they are.

        Raises:
            DataSetNotFound: there is none.
            SourceUnreachable, ControlRefused: the directory cannot be written.
        """
        _require_name(name)
        with _found(name):
            self._directory.discard(name)

    def _record(self, name: str) -> DataSetRecord:
        with _found(name):
            return RECORD.validate_json((self._path / name / RECORD_FILE).read_bytes())

    def _write(self, folder: Path, name: str, data: str, labels: str, rows: Iterator[Row]) -> DataSetRecord:
        frozen = freeze(rows, folder / ROWS_FILE, self._limits.data_set_images)
        if labels != _NO_LABELS and not frozen.labels:
            raise DataSetUnreadable(
                "No image has a label: a table of labels must have the paths that the list of images has."
            )
        write_ends(folder)
        record = DataSetRecord(
            name=name,
            data=data,
            labels=labels,
            digest=frozen.digest,
            images=frozen.images,
            nbytes=frozen.nbytes,
            counts=frozen.labels,
            created=datetime.now(UTC),
        )
        (folder / RECORD_FILE).write_bytes(RECORD.dump_json(record))
        return record

    def _rows(self, data_set: DataSet, labels: str) -> Iterator[Row]:
        if labels == _NO_LABELS:
            return data_set.rows()
        kind, _, name = labels.partition(":")
        if labels == "folders":
            rows = labelled(data_set.rows(), folder_of)
        elif kind == "column":
            rows = with_column(data_set, name, self._limits)
        elif kind == "csv":
            rows = labelled(data_set.rows(), read_table(self._places.file(name), self._limits))
        else:
            raise OptionInvalid(
                f"labels={labels[:80]!r} is none of none, folders, column:NAME and csv:PLACE:PATH.",
                option="labels",
            )
        return bounded(rows, self._limits)

    def _require_room(self, name: str) -> None:
        names = self.names()
        if name not in names and len(names) >= self._limits.data_sets:
            raise TooMany(
                f"There are {len(names)} data sets already",
                ways=("delete one", "let the service be set up with more data_sets"),
                limit=self._limits.data_sets,
            )


@contextmanager
def _found(name: str) -> Iterator[None]:
    with storing(_DIRECTORY):
        try:
            yield
        except FileNotFoundError as error:
            raise not_found(name) from error


def _require_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise OptionInvalid(
            f"The name of a data set has lower case letters, digits, dots, dashes and underscores, at most 64, unlike"
            f" {name[:80]!r}.",
            option="name",
        )
