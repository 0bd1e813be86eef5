"""Data sets in one file: images in a .tar or .zip archive, which is never unpacked, and the rows of a .npy array."""

import os
import tarfile
import threading
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from layerscope.errors import DataSetUnreadable, InputChanged
from layerscope.execution.inputs import Source, TensorSource
from layerscope.extraction.data_sets.data_set import Row
from layerscope.extraction.data_sets.files import SUFFIXES, printable, require_short, source_of


class Tar:
    """The images in an uncompressed .tar archive, read from their places in it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def rows(self) -> Iterator[Row]:
        """The regular files with the suffix of an image, in the order of the archive."""
        try:
            with self._path.open("rb") as file, tarfile.open(fileobj=file, mode="r:") as archive:
                changed = os.fstat(file.fileno()).st_mtime_ns
                for member in archive:
                    if member.isreg() and _is_image(member.name):
                        yield Row(printable(member.name), member.size, changed, member.offset_data)
        except (tarfile.TarError, OSError) as error:
            raise _unreadable(self._path, error) from error

    def read(self, row: Row, most_bytes: int) -> Source:
        """One member."""
        require_short(row, most_bytes)
        with _reading(self._path, row) as file:
            changed = os.fstat(file.fileno()).st_mtime_ns
            file.seek(row.place or 0)
            data = file.read(row.nbytes)
        if len(data) != row.nbytes or changed != row.changed:
            raise _changed(row)
        return source_of(row.path, data)


class Zip:
    """The images in a .zip archive. Each is unpacked into memory, as far as its listed length."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._open: zipfile.ZipFile | None = None

    def rows(self) -> Iterator[Row]:
        """The members with the suffix of an image, in the order of the archive."""
        try:
            with zipfile.ZipFile(self._path) as archive:
                for member in archive.infolist():
                    if not member.is_dir() and _is_image(member.filename):
                        yield Row(member.filename, member.file_size, member.CRC)
        except (zipfile.BadZipFile, OSError) as error:
            raise _unreadable(self._path, error) from error

    def read(self, row: Row, most_bytes: int) -> Source:
        """One member. A member that unpacks to more than it says is refused."""
        require_short(row, most_bytes)
        try:
            archive = self._archive()
            checksum = archive.getinfo(row.path).CRC
            with archive.open(row.path) as file:
                # `zipfile` ends at the length that the archive gives, and compares the checksum there.
                data = file.read(row.nbytes + 1)
        except (
            KeyError,
            OSError,
            zipfile.BadZipFile,
            zlib.error,
            RuntimeError,
            NotImplementedError,
        ) as error:
            raise InputChanged(f"{row.path} cannot be unpacked: {error}.", path=row.path) from error
        if len(data) != row.nbytes or checksum != row.changed:
            raise _changed(row)
        return source_of(row.path, data)

    def _archive(self) -> zipfile.ZipFile:
        with self._lock:
            if self._open is None:
                self._open = zipfile.ZipFile(self._path)
            return self._open


class Array:
    """The rows of a .npy array, each the tensor of one image. The file is mapped, and never unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._values: np.ndarray[Any, np.dtype[Any]] = np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, OSError, EOFError) as error:
            raise _unreadable(path, error) from error
        if not self._values.ndim:
            raise DataSetUnreadable(f"{path.name} holds a single number: the first axis must count images.")

    def rows(self) -> Iterator[Row]:
        """One row for each index of the first axis; its path is the index."""
        each = self._values[:1].nbytes
        for index in range(len(self._values)):
            yield Row(str(index), each, self._path.stat().st_mtime_ns, index)

    def read(self, row: Row, most_bytes: int) -> Source:
        """One tensor."""
        require_short(row, most_bytes)
        index = row.place or 0
        if self._path.stat().st_mtime_ns != row.changed or index >= len(self._values):
            raise _changed(row)
        return TensorSource(np.array(self._values[index]))


def _is_image(name: str) -> bool:
    path = PurePosixPath(name)
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def _reading(path: Path, row: Row) -> Any:
    try:
        return path.open("rb")
    except OSError as error:
        raise InputChanged(f"{path.name} cannot be read: {error.strerror}.", path=row.path) from error


def _changed(row: Row) -> InputChanged:
    return InputChanged(f"{row.path} has changed since the images were listed.", path=row.path)


def _unreadable(path: Path, error: Exception) -> DataSetUnreadable:
    return DataSetUnreadable(f"{path.name} cannot be read as what its name says: {error}.")
