"""Data sets of tensors: the rows of a .npy array."""

from collections.abc import Iterator
from math import prod
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy_format

from layerscope.errors import DataSetUnreadable
from layerscope.execution.inputs import TensorSource
from layerscope.extraction.data_sets.archives import require_unchanged, unreadable
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


def header_of(file: BinaryIO, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
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
