"""Data sets of image files: a folder with all below it, a pattern, or a list of paths."""

import glob
import os
from collections.abc import Iterator
from pathlib import Path

from layerscope.errors import BodyTooLarge, DataSetUnreadable, InputChanged
from layerscope.execution.inputs import ImageSource, TensorSource
from layerscope.extraction.data_sets.data_set import Row
from layerscope.images import read_npy
from layerscope.limits import Limits
from layerscope.models.regular_files import open_regular

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".npy"})
"""The files of a folder that are images, by suffix, or tensors for one image each."""


class Files:
    """Files below a folder, by name. Links to folders are not followed, and hidden files are left out.

    Args:
        root: the folder that paths begin in.
        paths: the files, relative to `root` or absolute; None for all below it that are images by their suffix.
        within: the folder that no file may be outside of, also behind links; None for no such bound.
    """

    def __init__(self, root: Path, paths: list[str] | None = None, within: Path | None = None) -> None:
        self._root = root
        self._paths = paths
        self._within = within

    def rows(self) -> Iterator[Row]:
        """The files that are there; of a list, also those that are not, each of which then fails."""
        for path in _below(self._root) if self._paths is None else self._paths:
            name = printable(path)
            try:
                status = (self._root / name).stat() if is_within(self._root / name, self._within) else None
            except (OSError, ValueError):
                status = None
            if status is not None:
                yield Row(name, status.st_size, status.st_mtime_ns)
            else:
                yield Row(name, -1)

    def read(self, row: Row, most_bytes: int) -> ImageSource | TensorSource:
        """The content of a file: an image, or the tensor of a `.npy` file."""
        path = self._root / row.path
        if not is_within(path, self._within):
            raise InputChanged(f"{row.path} is a link to another place.", path=row.path)
        return source_of(row.path, read_whole(path, row, most_bytes))


def files_matching(pattern: str, within: Path | None = None) -> Files:
    """The files that a pattern matches, as `glob` reads it: `photos/**/*.jpg`."""
    found = sorted(path for path in glob.glob(pattern, recursive=True) if os.path.isfile(path))  # noqa: PTH113, PTH207
    return Files(Path(), found, within)


def files_listed(path: Path, within: Path | None = None) -> Files:
    """The files whose paths are the lines of a text file, relative to its folder."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataSetUnreadable(f"The list {path.name} cannot be read as text.") from error
    return Files(path.parent, [line for line in lines if line.strip()], within)


def is_within(path: Path, folder: Path | None) -> bool:
    """Whether a path leads to something in a folder, links followed; always true without a folder."""
    return folder is None or path.resolve().is_relative_to(folder.resolve())


def printable(name: str) -> str:
    """A file's name as it is written into a result, which takes no name that is not UTF-8."""
    return name.encode("utf-8", "backslashreplace").decode()


def source_of(path: str, data: bytes) -> ImageSource | TensorSource:
    """What a file is for a model, by its suffix."""
    if path.lower().endswith(".npy"):
        return TensorSource(read_npy(data, Limits()))
    return ImageSource(data)


def read_whole(path: Path, row: Row, most_bytes: int) -> bytes:
    """The content of a file that is as it was listed."""
    require_short(row, most_bytes)
    try:
        # A pipe that took the place of a file would be waited for.
        with open_regular(path, follow=True) as file:
            status = os.fstat(file.fileno())
            data = file.read(row.nbytes + 1) if row.nbytes >= 0 else b""
    except (OSError, ValueError) as error:
        raise InputChanged(f"{row.path} cannot be read: {error}.", path=row.path) from error
    if len(data) != row.nbytes or status.st_mtime_ns != row.changed:
        raise InputChanged(f"{row.path} has changed since the images were listed.", path=row.path)
    return data


def require_short(row: Row, most_bytes: int) -> None:
    """Check the length of an image before it is read."""
    if row.nbytes > most_bytes:
        message = f"{row.path} takes {row.nbytes:,} bytes; at most {most_bytes:,} are read"
        raise BodyTooLarge(message, ways=("make it smaller",), bytes=row.nbytes, limit=most_bytes)


def _below(root: Path) -> Iterator[str]:
    def fail(error: OSError) -> None:
        raise DataSetUnreadable(f"{Path(error.filename).name} cannot be listed: {error.strerror}.") from error

    for folder, names, files in os.walk(root, onerror=fail):
        names[:] = sorted(name for name in names if name[0] != ".")
        for name in sorted(files):
            path = Path(folder, name)
            if name[0] != "." and path.suffix.lower() in SUFFIXES and path.is_file():
                yield path.relative_to(root).as_posix()
