"""The tensors in a file that `torch.save` wrote, read without PyTorch and without running anything that the file names.

Such a file is a pickle, and a pickle is a program. This reader knows four names that dictionaries of tensors consist of, and refuses
every other. It reads the format of PyTorch before 1.6: five pickles (a magic number, the version of the format, facts about the
machine, the dictionary, the keys of the storages), then the storages themselves, each as a count of 8 bytes and its values.
"""

import math
import pickle
from collections import OrderedDict
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from layerscope.errors import ModelUnreadable

_MAGIC = 0x1950A86A20F9469CFC6C
_FORMAT = 1001
_COUNT = np.dtype("<i8")
_DTYPES = {"torch.FloatStorage": "<f4", "torch.LongStorage": "<i8"}


class _Storage(NamedTuple):
    key: str
    dtype: str
    length: int


class _Tensor(NamedTuple):
    """A part of a storage: where it begins, its shape, and the steps along its axes, in values."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_tensors(path: Path) -> dict[str, NDArray[Any]]:
    """Read a dictionary of tensors.

    Args:
        path: a file that `torch.save` wrote, before PyTorch 1.6 or with `_use_new_zipfile_serialization=False`.

    Returns:
        The tensors by name, float32 or int64, read-only, in the order of the file.

    Raises:
        ModelUnreadable: it is no such file, is damaged, or holds anything but tensors of these types.
    """
    # Of bytes in memory no more can be read than there are, whatever lengths they claim.
    file = BytesIO(path.read_bytes())
    try:
        return _read(file)
    except Exception as error:  # A pickle can fail in every way that Python can.
        raise ModelUnreadable(f"{path.name} has no tensors that can be read: {error}") from error


def _read(file: BytesIO) -> dict[str, NDArray[Any]]:
    magic, version, _machine = (_Tensors(file).load() for _ in range(3))
    if (magic, version) != (_MAGIC, _FORMAT):
        raise pickle.UnpicklingError("it is not of the format that PyTorch wrote before 1.6")
    tensors = _Tensors(file).load()
    if not isinstance(tensors, dict) or not all(isinstance(each, _Tensor) for each in tensors.values()):
        raise pickle.UnpicklingError("it is no dictionary of tensors")
    storages = {each.storage.key: each.storage for each in tensors.values()}
    values = {key: _values(file, storages[key]) for key in _Tensors(file).load()}
    return {str(name): _cut(values[each.storage.key], each) for name, each in tensors.items()}


class _Tensors(pickle.Unpickler):
    """An unpickler that makes dictionaries and tensors, and nothing else.

    What it returns for a name is of no use for harm: a pickle can neither change the class `OrderedDict` nor a text, and a method
    takes no state.
    """

    def find_class(
        self, module: str, name: str
    ) -> type[OrderedDict[Any, Any]] | str | Callable[..., _Tensor]:
        """What a name stands for, for four names."""
        full = f"{module}.{name}"
        if full == "collections.OrderedDict":
            return OrderedDict
        if full == "torch._utils._rebuild_tensor_v2":
            return self._tensor
        if full in _DTYPES:
            return _DTYPES[full]
        raise pickle.UnpicklingError(f"it names {full[:100]}")

    def persistent_load(self, pid: Any) -> _Storage:
        """The storage that a tensor is a part of; its values come behind the pickles."""
        kind, dtype, key, _device, length, view = pid
        if kind != "storage" or dtype not in _DTYPES.values() or view is not None:
            raise pickle.UnpicklingError("it has a storage of another kind")
        return _Storage(str(key), dtype, int(length))

    def _tensor(
        self, storage: _Storage, offset: int, shape: Sequence[int], strides: Sequence[int], *_: Any
    ) -> _Tensor:
        last = offset + sum((size - 1) * step for size, step in zip(shape, strides, strict=True))
        is_inside = last < storage.length and math.prod(shape) <= storage.length
        if min((offset, *shape, *strides)) < 0 or not is_inside:
            raise pickle.UnpicklingError("it has a tensor that is larger than its storage")
        return _Tensor(storage, offset, tuple(shape), tuple(strides))


def _values(file: BytesIO, storage: _Storage) -> NDArray[Any]:
    """The values of the storage that comes next in the file."""
    dtype = np.dtype(storage.dtype)
    (length,) = np.frombuffer(file.read(_COUNT.itemsize), _COUNT)
    data = file.read(storage.length * dtype.itemsize)
    if length != storage.length or len(data) != storage.length * dtype.itemsize:
        raise pickle.UnpicklingError("it is cut")
    return np.frombuffer(data, dtype)


def _cut(values: NDArray[Any], tensor: _Tensor) -> NDArray[Any]:
    # `_Tensors` has checked that this stays inside.
    strides = [step * values.itemsize for step in tensor.strides]
    return as_strided(values[tensor.offset :], tensor.shape, strides, writeable=False)
