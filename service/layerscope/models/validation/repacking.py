"""The fresh file of the checked parts of a model file: nothing else of the uploaded file is kept."""

import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from layerscope.errors import WeightsMalformed
from layerscope.models.validation.archive import CONFIG, METADATA, WEIGHTS
from layerscope.models.validation.config import Config
from layerscope.models.validation.weights import damage_as_error

_ATTRIBUTES = re.compile(r"name|dtype|backend|keras_version|(layer|weight)_names\d*")
_DROPPED = frozenset({"optimizer", "optimizer_weights"})
_UNCHANGING = (1980, 1, 1, 0, 0, 0)
"""The time of every member: equal models make equal files, which the store keeps once."""


def without_training(value: Any) -> Any:
    """A configuration without optimizer, loss and metrics, which may be code; nested models included."""
    if isinstance(value, dict):
        return {key: without_training(each) for key, each in value.items() if key != "compile_config"}
    return [without_training(each) for each in value] if isinstance(value, list) else value


def write_keras(target: Path, config: Config, version: str | None, weights: Path) -> None:
    """Write a `.keras` file. Equal parts make equal bytes."""
    metadata = {"keras_version": version or "3.0.0", "date_saved": ""}
    with zipfile.ZipFile(target, "w") as file:
        for name, content in ((METADATA, metadata), (CONFIG, config)):
            file.writestr(zipfile.ZipInfo(name, _UNCHANGING), json.dumps(content, ensure_ascii=False))
        member = zipfile.ZipInfo(WEIGHTS, _UNCHANGING)
        member.file_size = weights.stat().st_size
        with weights.open("rb") as source, file.open(member, "w") as stored:
            while chunk := source.read(1 << 20):
                stored.write(chunk)


def write_weights(target: Path, source: Any, config: Config | None = None) -> list[str]:
    """Copy the groups and arrays of an open HDF5 file into a new one.

    Args:
        target: the file to write.
        source: the open file, checked by `weights.read_arrays`.
        config: the configuration, for the legacy format, which has it in an attribute.

    Returns:
        Paths of the arrays that have NaN or infinities.

    Raises:
        ModelUnreadable: the file is damaged.
        WeightsMalformed: an attribute that Keras would read is not a list of texts.
    """
    not_finite: list[str] = []
    with h5py.File(target, "w") as file:
        _copy_attributes(source, file)
        if config is not None:
            file.attrs["model_config"] = json.dumps(config)
        for name in source:
            if name not in _DROPPED:
                _copy(source[name], file, name, not_finite)
    return not_finite


def _copy(source: Any, target: Any, name: str, not_finite: list[str]) -> None:
    if isinstance(source, h5py.Group):
        group = target.create_group(name)
        _copy_attributes(source, group)
        for each in source:
            _copy(source[each], group, each, not_finite)
        return
    made = target.create_dataset(name, source.shape, source.dtype)
    _copy_attributes(source, made)
    if not _copy_values(source, made):
        not_finite.append(str(source.name).lstrip("/"))


def _copy_values(source: Any, target: Any) -> bool:
    """Copy an array in parts, to stay within the memory of this process; whether all values are finite."""
    if not source.shape:
        with damage_as_error():
            value = source[()]
        target[()] = value
        return bool(np.isfinite(value)) if source.dtype.kind == "f" else True
    finite = True
    for part in _parts(source):
        with damage_as_error():
            values = source[part]
        target[part] = values
        finite = finite and (values.dtype.kind != "f" or bool(np.isfinite(values).all()))
    return finite


def _parts(source: Any) -> Iterator[Any]:
    """The parts in which an array is read: each chunk once, for HDF5 unpacks a whole one; or slices of 4 MiB."""
    if source.size == 0:
        return
    if source.chunks is not None:
        yield from source.iter_chunks()
        return
    rows = max(1, (4 << 20) // max(1, source.nbytes // source.shape[0]))
    for start in range(0, source.shape[0], rows):
        yield slice(start, start + rows)


def _copy_attributes(source: Any, target: Any) -> None:
    with damage_as_error():
        values = {name: source.attrs[name] for name in source.attrs if _ATTRIBUTES.fullmatch(name)}
    for name, value in values.items():
        if isinstance(value, (str, bytes)):
            target.attrs[name] = value
        elif isinstance(value, np.ndarray) and (value.size == 0 or value.dtype.kind in "SU" or _texts(value)):
            target.attrs[name] = value.tolist() if value.dtype.kind in "OU" else value
        else:
            raise WeightsMalformed(
                f"The attribute {name} in the weights is not made of texts.", attribute=name
            )


def _texts(value: Any) -> bool:
    return value.dtype.kind == "O" and all(isinstance(each, (str, bytes)) for each in value.ravel())
