"""The weights of a model file, in HDF5: plain arrays of numbers, each stored once, in this file.

HDF5 can do much more: links to other files, datasets whose values are elsewhere, filters, two names for one object. Each of
these could read a file of this machine, or make a small file take much memory.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import h5py

from layerscope.errors import (
    ModelTooLarge,
    ModelUnreadable,
    WeightsExternalReference,
    WeightsMalformed,
    WeightsShapeMismatch,
)
from layerscope.limits import Limits

_NUMBERS = frozenset("fiub")
_DEEPEST = 64
_MOST_OBJECTS = 100_000
_LONGEST_EMPTY = 1_000_000_000
"""The greatest length of an axis of an array without values."""

_MOST_CHUNKS = 100_000
_LARGEST_CHUNK = 64 << 20
_LONGEST_EXPANSION = 50
"""The greatest ratio of an array to its compressed size. Keras itself writes uncompressed arrays."""

_KNOWN_FILTERS = frozenset({h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32})


@dataclass(frozen=True)
class StoredArray:
    """An array of weights: its path in the file, and its dataset."""

    path: str
    dataset: Any

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of its axes."""
        return tuple(self.dataset.shape)

    @property
    def size(self) -> int:
        """The number of its elements."""
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Its size in bytes."""
        return self.size * int(self.dataset.dtype.itemsize)


def opened(path: Path) -> Any:
    """Open an HDF5 file to read.

    Raises:
        ModelUnreadable: it is not an HDF5 file, or is damaged.
    """
    try:
        return h5py.File(path, "r", locking=False)
    except (OSError, RuntimeError, ValueError) as error:
        raise ModelUnreadable("The weights are not a readable HDF5 file: save the model again.") from error


@contextmanager
def damage_as_error() -> Iterator[None]:
    """Turn every error that h5py raises for a damaged file into one, while a file is read.

    Raises:
        ModelUnreadable: the file is damaged.
    """
    try:
        yield
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, OverflowError) as error:
        raise ModelUnreadable("The weights are damaged: save the model again.") from error


def read_arrays(file: Any, limits: Limits) -> list[StoredArray]:
    """Every array in the file. All objects of the file are checked first.

    Raises:
        WeightsExternalReference: there is a soft or external link, or an external or virtual dataset.
        WeightsMalformed: an array is not of numbers, or an object has two names.
        WeightsShapeMismatch: an array claims to be larger than the bytes that the file holds of it.
        ModelTooLarge: there are more parameters or objects than allowed.
        ModelUnreadable: the file is damaged.
    """
    with damage_as_error():
        found = list(_arrays(file, set(), limits))
    numbers = sum(each.size for each in found)
    if numbers > limits.model_parameters:
        raise ModelTooLarge(
            f"The model has {numbers:,} parameters, and may have {limits.model_parameters:,}.",
            size=numbers,
            limit=limits.model_parameters,
        )
    return found


def _arrays(
    group: Any, met: set[Any], limits: Limits, path: str = "", depth: int = 0
) -> Iterator[StoredArray]:
    _require_new(group, met, path)
    if depth > _DEEPEST:
        raise WeightsMalformed(f"The weights are nested more than {_DEEPEST} deep.", limit=_DEEPEST)
    for name in group:
        where = f"{path}/{name}".lstrip("/")
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise WeightsExternalReference(
                f"{where[:200]!r} in the weights is a link to another place: save the model again.",
                path=where[:200],
            )
        each = group[name]
        if isinstance(each, h5py.Group):
            yield from _arrays(each, met, limits, where, depth + 1)
        elif isinstance(each, h5py.Dataset):
            _require_new(each, met, where)
            _require_plain(each, where)
            yield StoredArray(where, each)
        else:
            raise WeightsMalformed(f"{where[:200]!r} in the weights is no array.", path=where[:200])


def _require_new(each: Any, met: set[Any], path: str) -> None:
    """Check that an object is met for the first time, by its address in the file, which all its hard links share.

    A group that contains itself would otherwise be walked forever.
    """
    info = h5py.h5o.get_info(each.id)
    if info.addr in met:
        raise WeightsMalformed(
            f"{path[:200]!r} in the weights is another name of what was met before.", path=path[:200]
        )
    met.add(info.addr)
    if len(met) > _MOST_OBJECTS:
        raise ModelTooLarge(f"The weights have more than {_MOST_OBJECTS:,} parts.", limit=_MOST_OBJECTS)


def _require_plain(dataset: Any, path: str) -> None:
    shown = path[:200]
    if dataset.external or dataset.is_virtual:
        raise WeightsExternalReference(
            f"The values of {shown!r} in the weights are in another place: save the model again.", path=shown
        )
    if dataset.shape is None or not (_is_of_numbers(dataset) or _is_bfloat16(dataset)):
        raise WeightsMalformed(f"{shown!r} in the weights is not an array of numbers.", path=shown)
    if 0 in dataset.shape and max(dataset.shape) > _LONGEST_EMPTY:
        raise WeightsMalformed(
            f"{shown!r} in the weights has no values, and an axis of {max(dataset.shape):,}.", path=shown
        )
    _require_stored(dataset, shown)
    _require_few_chunks(dataset, shown)


def _require_few_chunks(dataset: Any, path: str) -> None:
    """Check that an array can be read chunk by chunk. HDF5 unpacks a whole chunk, however little of it is read."""
    if dataset.chunks is None:
        return
    size = prod(dataset.chunks) * dataset.dtype.itemsize
    number = prod(-(-side // chunk) for side, chunk in zip(dataset.shape, dataset.chunks, strict=True))
    if size > _LARGEST_CHUNK or number > _MOST_CHUNKS:
        raise WeightsMalformed(
            f"{path!r} in the weights is cut into {number:,} chunks of {size:,} bytes: save the model again.",
            path=path,
        )


def _is_of_numbers(dataset: Any) -> bool:
    dtype = dataset.dtype
    return (
        dtype.kind in _NUMBERS
        and not dtype.metadata
        and dataset.id.get_type().get_class() in {h5py.h5t.FLOAT, h5py.h5t.INTEGER, h5py.h5t.ENUM}
    )


def _is_bfloat16(dataset: Any) -> bool:
    """Whether an array is of bfloat16, which HDF5 has no type for: Keras stores two opaque bytes."""
    dtype = dataset.dtype
    return (
        dtype.kind == "V"
        and dtype.itemsize == 2
        and dtype.fields is None
        and dataset.attrs.get("dtype") == "bfloat16"
    )


def _require_stored(dataset: Any, path: str) -> None:
    """Check that the values are in the file.

    HDF5 returns zeros for values that were never written, and zeros compress to almost nothing: a file of a few kilobytes could
    declare an array of a terabyte.
    """
    plan = dataset.id.get_create_plist()
    filters = {plan.get_filter(number)[0] for number in range(plan.get_nfilters())}
    if not filters <= _KNOWN_FILTERS:
        raise WeightsMalformed(f"{path!r} in the weights is packed in a way that Keras does not.", path=path)
    declared, stored = prod(dataset.shape) * dataset.dtype.itemsize, dataset.id.get_storage_size()
    if declared > stored * (_LONGEST_EXPANSION if filters else 1):
        raise WeightsShapeMismatch(
            f"{path!r} in the weights says it has {declared:,} bytes, and the file holds {stored:,}.",
            path=path,
            size=declared,
            stored=stored,
        )
