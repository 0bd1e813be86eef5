"""Data sets in one archive: images in a .tar or .zip file, which is never unpacked."""

import tarfile
import threading
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from layerscope.errors import DataSetUnreadable, InputChanged
from layerscope.execution.inputs import ImageSource, TensorSource
from layerscope.extraction.data_sets.data_set import Row, input_changed, listing, reading, require_short
from layerscope.extraction.data_sets.files import is_image, source_of
from layerscope.extraction.places import Place, printable


class Tar:
    """The images in an uncompressed .tar archive, read from their places in it."""

    def __init__(self, place: Place, name: str) -> None:
        self._place = place
        self._name = name

    def rows(self) -> Iterator[Row]:
        """The regular files with the suffix of an image, in the order of the archive."""
        try:
            with (
                listing(self._name),
                self._place.open(self._name) as file,
                tarfile.open(fileobj=file, mode="r:") as archive,
            ):
                changed = self._place.stamp(self._name).changed
                for member in archive:
                    if member.isreg() and is_image(member.name):
                        yield Row(printable(member.name), member.size, changed, member.offset_data)
        except tarfile.TarError as error:
            raise unreadable(self._name, error) from error

    def read(self, row: Row, most_bytes: int) -> ImageSource | TensorSource:
        """One member."""
        require_short(row, most_bytes)
        with reading(row):
            data = self._place.read(self._name, row.position or 0, row.nbytes)
        require_unchanged(self._place, self._name, row)
        if len(data) != row.nbytes:
            raise input_changed(row)
        return source_of(row.path, data)


class Zip:
    """The images in a .zip archive. Each is unpacked into memory, as far as its listed length."""

    def __init__(self, place: Place, name: str) -> None:
        self._place = place
        self._name = name
        self._lock = threading.Lock()
        self._open: zipfile.ZipFile | None = None

    def rows(self) -> Iterator[Row]:
        """The members with the suffix of an image, in the order of the archive."""
        try:
            with listing(self._name), self._place.open(self._name) as file, zipfile.ZipFile(file) as archive:
                for member in archive.infolist():
                    if not member.is_dir() and is_image(member.filename):
                        yield Row(member.filename, member.file_size, member.CRC)
        except zipfile.BadZipFile as error:
            raise unreadable(self._name, error) from error

    def read(self, row: Row, most_bytes: int) -> ImageSource | TensorSource:
        """One member. A member that unpacks to more than it says is refused."""
        require_short(row, most_bytes)
        with unpacking(row):
            archive = self._archive()
            checksum = archive.getinfo(row.path).CRC
            with archive.open(row.path) as file:
                # `zipfile` ends at the length that the archive gives, and compares the checksum there.
                data = file.read(row.nbytes + 1)
        if len(data) != row.nbytes or checksum != row.changed:
            raise input_changed(row)
        return source_of(row.path, data)

    def _archive(self) -> zipfile.ZipFile:
        with self._lock:
            if self._open is None:
                self._open = zipfile.ZipFile(self._place.open(self._name))
            return self._open


@contextmanager
def unpacking(row: Row) -> Iterator[None]:
    """Turn errors of unpacking an image into one.

    Raises:
        InputChanged: it cannot be unpacked.
    """
    try:
        yield
    except (
        KeyError,
        OSError,
        EOFError,
        zipfile.BadZipFile,
        zlib.error,
        RuntimeError,
        NotImplementedError,
    ) as error:
        raise InputChanged(f"{row.path} cannot be unpacked: {error}.", path=row.path) from error


def require_unchanged(place: Place, name: str, row: Row) -> None:
    """Check that the file that an image is in is the one that was listed.

    Raises:
        InputChanged: it is not.
    """
    with reading(row):
        if place.stamp(name).changed != row.changed:
            raise input_changed(row)


def unreadable(name: str, error: Exception) -> DataSetUnreadable:
    """The error for a file that is not what its name says."""
    return DataSetUnreadable(f"{name} cannot be read as what its name says: {error}.")
