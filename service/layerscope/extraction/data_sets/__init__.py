"""Data sets: where the images of a job come from."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

from layerscope.errors import DataSetUnreadable
from layerscope.extraction.data_sets.archives import Tar, Zip
from layerscope.extraction.data_sets.arrays import Array, Packed
from layerscope.extraction.data_sets.data_set import ROW, DataSet, Row
from layerscope.extraction.data_sets.files import Files, files_listed, files_matching
from layerscope.extraction.data_sets.tables import Table, table
from layerscope.extraction.data_sets.texts import Texts
from layerscope.extraction.places import Place, place_at, split

_VARIES = "*?["

__all__ = ["ROW", "DataSet", "Row", "Table", "open_data_set"]

_KINDS: Mapping[str, Callable[[Place, str], DataSet]] = {
    ".tar": Tar,
    ".zip": Zip,
    ".npy": Array,
    ".txt": files_listed,
}
_KINDS_OF_SEVERAL: Mapping[str, Callable[[Place, str, str | None], DataSet]] = {
    ".jsonl": Texts,
    ".npz": Packed,
    ".parquet": table,
}

_WITH_COLUMN = re.compile(r"(.+\.(?:jsonl|npz|parquet)):([^/]+)", re.IGNORECASE)


def open_data_set(address: str, within: Path | None = None) -> DataSet:
    """The data set at an address: a path of this machine, or a URL that fsspec understands.

    Args:
        address: a folder, of which all images below it are taken; a .tar or .zip archive of images; a .npy array whose first axis
            counts tensors; a .npz archive with such an array, `values.npz:NAME` if it has several; a .parquet file with a column of the
            bytes of images or of the paths of their files, `photos.parquet:COLUMN` if it has several; a .jsonl file with a
            text a line, `{"text": "..."}`, or `reviews.jsonl:KEY` for another key; a .txt file with a path a line; or a pattern such as `photos/**/*.jpg`.
        within: the folder of this machine that no file may be outside of, also behind links; None for no such bound.

    Raises:
        DataSetUnreadable: there is nothing of that name, or it is none of these.
        SourceUnreachable: its place cannot be reached.
        OptionInvalid: see `place_at`.
    """
    folder = place_at(address, "data", within)
    if folder.exists():
        return Files(folder)
    named = _WITH_COLUMN.fullmatch(address)
    folder_address, name = split(named[1] if named else address)
    place = place_at(folder_address, "data", within)
    if not _has(place, name):
        if any(sign in address for sign in _VARIES):
            return _matching(address, within)
        raise DataSetUnreadable(f"There is no data set at {address}.")
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in _KINDS_OF_SEVERAL:
        return _KINDS_OF_SEVERAL[suffix](place, name, named[2] if named else None)
    if suffix not in _KINDS:
        known = ", ".join((*_KINDS, *_KINDS_OF_SEVERAL))
        raise DataSetUnreadable(f"{name} is no data set: name a folder, a pattern, or one of {known}.")
    return _KINDS[suffix](place, name)


def _has(place: Place, name: str) -> bool:
    try:
        place.stamp(name)
    except (OSError, ValueError):
        return False
    return True


def _matching(pattern: str, within: Path | None) -> Files:
    """The files that a pattern matches, by path from the first folder on whose name varies."""
    fixed = re.split(f"[{re.escape(_VARIES)}]", pattern, maxsplit=1)[0]
    folder, _ = split(f"{fixed}_")
    return files_matching(
        place_at(folder, "data", within), pattern[len(fixed.rpartition("/")[0]) :].lstrip("/")
    )
