"""Tensors from .npy files (NumPy enhancement proposal 1), without pickle."""

import io
import math

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from layerscope.errors import BodyTooLarge, TensorUnreadable
from layerscope.limits import Limits

_HEADER_READERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}

_NUMBERS = "biuf"
"""NumPy's kinds of plain numbers: bool, signed integer, unsigned integer, floating point."""

_MAGIC = b"\x93NUMPY"

_MAX_NUMBER_BYTES = 8

_MAX_SHOWN_BYTES = 2**63


def is_npy(data: bytes) -> bool:
    """Whether bytes are those of a .npy file, and not of an image."""
    return data.startswith(_MAGIC)


def read_npy(data: bytes, limits: Limits) -> NDArray[np.generic]:
    """Read a .npy file (format version 1 or 2).

    Returns:
        The array, C-contiguous and in native byte order. If the file has that form already, the array is a read-only view
        of `data`. NaN and infinities are kept.

    Raises:
        BodyTooLarge: `data` is longer than `limits.body_bytes`.
        TensorUnreadable: The file is damaged, pickled, does not hold plain numbers, or is longer or shorter than its
            shape demands.
    """
    if len(data) > limits.body_bytes:
        message = f"The tensor takes {len(data):,} bytes; at most {limits.body_bytes:,} are read"
        ways = ("send fewer images at once", "use a narrower dtype such as float16", "send pictures instead")
        raise BodyTooLarge(message, ways=ways, bytes=len(data), limit=limits.body_bytes)
    shape, fortran_order, dtype, start = _read_header(data)
    _check_dtype(dtype)
    _check_length(shape, dtype, len(data) - start, limits)
    array = _view(data, start, shape, dtype, fortran_order)
    if dtype.kind == "b":
        array = array.view(np.uint8) != 0  # any other byte than 0 and 1 is an invalid numpy bool
    return np.require(array, dtype.newbyteorder("="), ["C_CONTIGUOUS", "ALIGNED"])


def _read_header(data: bytes) -> tuple[tuple[int, ...], bool, np.dtype[np.generic], int]:
    file = io.BytesIO(data)
    try:
        shape, fortran_order, dtype = _HEADER_READERS[npy.read_magic(file)](file)
    except Exception as error:
        # numpy parses the header as a Python literal, which can fail in every way a parser can.
        raise TensorUnreadable("The tensor is not a .npy file of version 1 or 2.") from error
    return shape, fortran_order, dtype, file.tell()


def _check_dtype(dtype: np.dtype[np.generic]) -> None:
    if dtype.kind in _NUMBERS and dtype.itemsize <= _MAX_NUMBER_BYTES:
        return
    message = "The tensor must hold bool, integers or floating-point numbers of at most 64 bits."
    raise TensorUnreadable(message, kind=dtype.kind, item_bytes=dtype.itemsize)


def _check_length(shape: tuple[int, ...], dtype: np.dtype[np.generic], present: int, limits: Limits) -> None:
    # A bool is an int to Python, but not a size to numpy.
    if any(type(side) is not int for side in shape):
        raise TensorUnreadable("The sides of the tensor's shape must be whole numbers.")
    expected = math.prod(shape) * dtype.itemsize
    if present != expected or any(side < 0 for side in shape):
        needed = str(expected) if 0 <= expected < _MAX_SHOWN_BYTES else "impossibly many"
        message = f"The tensor's shape needs {needed} bytes of data, but {present} are there."
        raise TensorUnreadable(message, needed=needed, bytes=present)
    # A shape with a zero has no data, whatever its other sides are; numpy and TensorFlow still compute with those.
    if math.prod(side or 1 for side in shape) * dtype.itemsize > limits.body_bytes:
        message = "The tensor has a side of zero and others that no tensor with data could have."
        raise TensorUnreadable(message, limit=limits.body_bytes)


def _view(
    data: bytes, start: int, shape: tuple[int, ...], dtype: np.dtype[np.generic], fortran_order: bool
) -> NDArray[np.generic]:
    try:
        return np.ndarray(shape, dtype, data, start, order="F" if fortran_order else "C")
    except (ValueError, OverflowError):
        raise TensorUnreadable("The tensor has more dimensions than an array can have.") from None
