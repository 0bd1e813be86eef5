"""Data sets: where the images of a job come from."""

from collections.abc import Callable, Mapping
from pathlib import Path

from layerscope.errors import SourceUnreachable
from layerscope.extraction.data_sets.archives import Array, Tar, Zip
from layerscope.extraction.data_sets.data_set import ROW, DataSet, Row
from layerscope.extraction.data_sets.files import Files, files_listed, files_matching

__all__ = ["ROW", "DataSet", "Row", "open_data_set"]

_KINDS: Mapping[str, Callable[[Path], DataSet]] = {
    ".tar": Tar,
    ".zip": Zip,
    ".npy": Array,
    ".txt": files_listed,
}


def open_data_set(text: str) -> DataSet:
    """The data set that a text names.

    Args:
        text: a folder, of which all images below it are taken; a .tar or .zip archive of images; a .npy array whose first axis
            counts tensors; a .txt file with a path a line; or a pattern such as `photos/**/*.jpg`.

    Raises:
        SourceUnreachable: there is nothing of that name, or it is none of these.
    """
    path = Path(text)
    if path.is_dir():
        return Files(path)
    if path.is_file():
        if path.suffix.lower() not in _KINDS:
            known = ", ".join(_KINDS)
            raise SourceUnreachable(
                f"{path.name} is no data set: name a folder, a pattern, or one of {known}."
            )
        return _KINDS[path.suffix.lower()](path)
    if not any(sign in text for sign in "*?["):
        raise SourceUnreachable(f"There is no data set at {text}.")
    return files_matching(text)
