"""Data sets: where the images of a job come from."""

from collections.abc import Callable, Mapping
from pathlib import Path

from layerscope.errors import DataSetUnreadable
from layerscope.extraction.data_sets.archives import Array, Tar, Zip
from layerscope.extraction.data_sets.data_set import ROW, DataSet, Row
from layerscope.extraction.data_sets.files import Files, files_listed, files_matching, is_within

__all__ = ["ROW", "DataSet", "Row", "open_data_set"]

_ARCHIVES: Mapping[str, Callable[[Path], DataSet]] = {".tar": Tar, ".zip": Zip, ".npy": Array}
_LIST = ".txt"


def open_data_set(text: str, within: Path | None = None) -> DataSet:
    """The data set that a text names.

    Args:
        text: a folder, of which all images below it are taken; a .tar or .zip archive of images; a .npy array whose first axis
            counts tensors; a .txt file with a path a line; or a pattern such as `photos/**/*.jpg`.
        within: the folder that no file may be outside of, also behind links; None for no such bound.

    Raises:
        DataSetUnreadable: there is nothing of that name, or it is none of these.
    """
    path = Path(text)
    if not is_within(path, within):
        raise DataSetUnreadable(f"{path.name} is a link to another place.")
    if path.is_dir():
        return Files(path, within=within)
    if path.is_file():
        suffix = path.suffix.lower()
        if suffix == _LIST:
            return files_listed(path, within)
        if suffix not in _ARCHIVES:
            known = ", ".join((*_ARCHIVES, _LIST))
            raise DataSetUnreadable(
                f"{path.name} is no data set: name a folder, a pattern, or one of {known}."
            )
        return _ARCHIVES[suffix](path)
    if not any(sign in text for sign in "*?["):
        raise DataSetUnreadable(f"There is no data set at {text}.")
    return files_matching(text, within)
