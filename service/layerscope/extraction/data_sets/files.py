"""Data sets of image files: a folder with all below it, a pattern, or a list of paths."""

import glob
import os
from collections.abc import Iterator
from pathlib import Path

from layerscope.errors import BodyTooLarge, InputChanged, SourceUnreachable
from layerscope.execution.inputs import ImageSource, TensorSource
from layerscope.extraction.data_sets.data_set import Row
from layerscope.images import read_npy
from layerscope.limits import Limits

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".npy"})
"""The files of a folder that are images, by suffix, or tensors for one image each."""


class Files:
    """Files below a folder, by name. Links to folders are not followed, and hidden files are left out.

    Args:
        root: the folder that paths begin in.
        paths: the files, relative to `root` or absolute; None for all below it that are images by their suffix.
    """

    def __init__(self, root: Path, paths: list[str] | None = None) -> None:
        self._root = root
        self._paths = paths

    def rows(self) -> Iterator[Row]:
        """The files that are there; of a list, also those that are not, each of which then fails."""
        for path in _below(self._root) if self._paths is None else self._paths:
            # A name that is not UTF-8 cannot be written into a result.
            name = path.encode("utf-8", "backslashreplace").decode()
            try:
                status = (self._root / name).stat()
            except (OSError, ValueError):
                yield Row(name, -1)
            else:
                yield Row(name, status.st_size, status.st_mtime_ns)

    def read(self, row: Row, most_bytes: int) -> ImageSource | TensorSource:
        """The content of a file: an image, or the tensor of a `.npy` file."""
        data = read_whole(self._root / row.path, row, most_bytes)
        return source_of(row.path, data)


def files_matching(pattern: str) -> Files:
    """The files that a pattern matches, as `glob` reads it: `photos/**/*.jpg`."""
    return Files(Path(), sorted(path for path in glob.glob(pattern, recursive=True) if os.path.isfile(path)))  # noqa: PTH113, PTH207


def files_listed(path: Path) -> Files:
    """The files whose paths are the lines of a text file, relative to its folder."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SourceUnreachable(f"The list {path.name} cannot be read as text.") from error
    return Files(path.parent, [line for line in lines if line.strip()])


def source_of(path: str, data: bytes) -> ImageSource | TensorSource:
    """What a file is for a model, by its suffix."""
    if path.lower().endswith(".npy"):
        return TensorSource(read_npy(data, Limits()))
    return ImageSource(data)


def read_whole(path: Path, row: Row, most_bytes: int) -> bytes:
    """The content of a file that is as it was listed."""
    require_short(row, most_bytes)
    try:
        with path.open("rb") as file:
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
        raise SourceUnreachable(f"{error.filename} cannot be listed: {error.strerror}.") from error

    for folder, names, files in os.walk(root, onerror=fail):
        names[:] = sorted(name for name in names if name[0] != ".")
        for name in sorted(files):
            path = Path(folder, name)
            if name[0] != "." and path.suffix.lower() in SUFFIXES and path.is_file():
                yield path.relative_to(root).as_posix()
