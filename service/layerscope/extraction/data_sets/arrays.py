"""Data sets of tensors: the rows of a .npy array, or of one in a .npz archive."""

import zipfile
import zlib
from collections.abc import Iterator
from math import prod
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy_format

from layerscope.errors import DataSetUnreadable
from layerscope.execution.inputs import TensorSource
from layerscope.extraction.data_sets.archives import require_unchanged, unpacking, unreadable
from layerscope.extraction.data_sets.blocks import BYTES, Blocks
from layerscope.extraction.data_sets.data_set import Row, input_changed, listing, reading, require_short
from layerscope.extraction.places import Place


class Array:
    """The rows of a .npy array, each the tensor of one image. Nothing in the file is unpickled."""

    def __init__(self, place: Place, name: str) -> None:
        self._place = place
        self._name = name
        with listing(name), place.open(name) as file:
            self._shape, self._dtype = header_of(file, name)
            self._start = file.tell()

    def rows(self) -> Iterator[Row]:
        """One row for each index of the first axis; its path is the index."""
        each = prod(self._shape[1:]) * self._dtype.itemsize
        with listing(self._name):
            stamp = self._place.stamp(self._name)
        if stamp.nbytes < self._start + self._shape[0] * each:
            raise DataSetUnreadable(f"{self._name} is shorter than its header says: it was cut.")
        for index in range(self._shape[0]):
            yield Row(str(index), each, stamp.changed, index)

    def read(self, row: Row, most_bytes: int) -> TensorSource:
        """One tensor."""
        require_short(row, most_bytes)
        with reading(row):
            data = self._place.read(self._name, self._start + (row.position or 0) * row.nbytes, row.nbytes)
        require_unchanged(self._place, self._name, row)
        if len(data) != row.nbytes:
            raise input_changed(row)
        return TensorSource(np.frombuffer(data, self._dtype).reshape(self._shape[1:]))


class Packed:
    """The rows of an array in a .npz archive, unpacked a few at a time.

    Args:
        place: that has the archive.
        name: of the archive.
        key: of the array; None for the only one.

    Raises:
        DataSetUnreadable: it is not clear which array is meant, or it is none of which rows can be read.
    """

    def __init__(self, place: Place, name: str, key: str | None) -> None:
        self._place = place
        self._name = name
        try:
            with listing(name):
                self._archive = zipfile.ZipFile(place.open(name))
                self._member = self._found(key)
                with self._archive.open(self._member) as file:
                    self._shape, self._dtype = header_of(file, name)
                    header_bytes = file.tell()
        except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError) as error:
            raise unreadable(name, error) from error
        self._each = prod(self._shape[1:]) * self._dtype.itemsize
        if self._member.file_size != header_bytes + self._shape[0] * self._each:
            raise DataSetUnreadable(f"{name} has an array that is not as long as its header says.")
        self._blocks = Blocks(self._values, max(1, BYTES // max(1, self._each)))

    def rows(self) -> Iterator[Row]:
        """One row for each index of the first axis; its path is the index."""
        with listing(self._name):
            changed = self._place.stamp(self._name).changed
        for index in range(self._shape[0]):
            yield Row(str(index), self._each, changed, index)

    def read(self, row: Row, most_bytes: int) -> TensorSource:
        """One tensor."""
        require_short(row, most_bytes)
        with unpacking(row):
            data = self._blocks.row(row.position or 0)
        require_unchanged(self._place, self._name, row)
        if len(data) != row.nbytes:
            raise input_changed(row)
        return TensorSource(np.frombuffer(data, self._dtype).reshape(self._shape[1:]))

    def _found(self, key: str | None) -> zipfile.ZipInfo:
        members = {each.filename.removesuffix(".npy"): each for each in self._archive.infolist()}
        if key is None and len(members) == 1:
            key = next(iter(members))
        if key not in members:
            raise DataSetUnreadable(
                f"{self._name} has {len(members)} arrays: name one that it has, as {self._name}:ARRAY.",
                arrays=list(members)[:100],
            )
        return members[key]

    def _values(self) -> Iterator[bytes]:
        with self._archive.open(self._member) as file:
            header_of(file, self._name)
            while True:
                yield file.read(self._each)


def header_of(file: IO[bytes], name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """The shape and type of an array, whose values come next in the file.

    Raises:
        DataSetUnreadable: it is none of which one row after the other can be read.
    """
    try:
        version = npy_format.read_magic(file)
        read_header = (
            npy_format.read_array_header_1_0 if version == (1, 0) else npy_format.read_array_header_2_0
        )
        shape, is_by_columns, dtype = read_header(file)
    except (ValueError, EOFError) as error:
        raise unreadable(name, error) from error
    if dtype.hasobject:
        raise DataSetUnreadable(f"{name} holds Python objects, which are not read: save numbers.")
    if not shape:
        raise DataSetUnreadable(f"{name} holds a single number: the first axis must count images.")
    if is_by_columns and len(shape) > 1:
        raise DataSetUnreadable(f"{name} is in Fortran order: save it by rows, with numpy.ascontiguousarray.")
    return shape, dtype
