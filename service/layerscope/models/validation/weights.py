"""Walk the HDF5 file that weights are in: plain arrays of numbers, each stored in one place of this file."""

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
_LONGEST_EXPANSION = 50
"""Times that a compressed array may be larger than what is stored of it; Keras compresses nothing."""

_KNOWN_FILTERS = frozenset({h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32})


@dataclass(frozen=True)
class StoredArray:
    """An array of weights: its path in the file, and its dataset."""

    path: str
    dataset: Any

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of its axes."""
        return tuple(self.dataset.shape)

    @property
    def size(self) -> int:
        """How many numbers it is."""
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """What it takes in memory."""
        return self.size * int(self.dataset.dtype.itemsize)


def opened(path: Path) -> Any:
    """Open an HDF5 file to read.

    Raises:
        ModelUnreadable: it is none, or is damaged.
    """
    try:
        return h5py.File(path, "r", locking=False)
    except (OSError, RuntimeError, ValueError) as error:
        raise ModelUnreadable("The weights are not a readable HDF5 file: save the model again.") from error


@contextmanager
def damage_as_error() -> Iterator[None]:
    """While an HDF5 file is read, say of all that h5py raises for a damaged one that it is damaged.

    Raises:
        ModelUnreadable: it is.
    """
    try:
        yield
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, OverflowError) as error:
        raise ModelUnreadable("The weights are damaged: save the model again.") from error


def read_arrays(file: Any, limits: Limits) -> list[StoredArray]:
    """Every array in the file, after all that is linked in it was checked.

    Raises:
        WeightsExternalReference: something is elsewhere: a soft or external link, an external or virtual dataset.
        WeightsMalformed: an array is not of numbers, or is met twice.
        WeightsShapeMismatch: an array is larger than what the file holds of it.
        ModelTooLarge: the arrays, or the objects, are more than there may be.
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
    """By its address in the file, which all its hard links share."""
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
    _require_stored(dataset, shown)


def _is_of_numbers(dataset: Any) -> bool:
    dtype = dataset.dtype
    return (
        dtype.kind in _NUMBERS
        and not dtype.metadata
        and dataset.id.get_type().get_class() in {h5py.h5t.FLOAT, h5py.h5t.INTEGER, h5py.h5t.ENUM}
    )


def _is_bfloat16(dataset: Any) -> bool:
    """Two opaque bytes, which HDF5 has no type for."""
    dtype = dataset.dtype
    return (
        dtype.kind == "V"
        and dtype.itemsize == 2
        and dtype.fields is None
        and dataset.attrs.get("dtype") == "bfloat16"
    )


def _require_stored(dataset: Any, path: str) -> None:
    """Values that were never written, or that zeros compress to, would come out of nothing."""
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
