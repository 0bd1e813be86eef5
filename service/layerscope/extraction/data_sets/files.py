"""Data sets of image files: a folder with all below it, a pattern, or a list of paths."""

from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from layerscope.errors import DataSetUnreadable
from layerscope.execution.inputs import ImageSource, TensorSource
from layerscope.extraction.data_sets.data_set import Row, input_changed, listing, reading, require_short
from layerscope.extraction.places import Place, Stamp
from layerscope.images import read_npy
from layerscope.limits import Limits

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".npy"})
"""The files of a folder that are images, by suffix, or tensors for one image each."""


class Files:
    """Files of a place, by name. Links to folders are not followed, and hidden files are left out.

    Args:
        place: the folder that paths begin in.
        paths: the files, as somebody listed them; None for all that are images by their suffix.
    """

    def __init__(self, place: Place, paths: Iterable[str] | None = None) -> None:
        self._place = place
        self._paths = paths

    def rows(self) -> Iterator[Row]:
        """The files that are there; of a list, also those that are not, each of which then fails."""
        with listing(self._place.address):
            for path, stamp in self._found() if self._paths is None else self._listed(self._paths):
                yield Row(path, stamp.nbytes, stamp.changed)

    def read(self, row: Row, most_bytes: int) -> ImageSource | TensorSource:
        """The content of a file: an image, or the tensor of a `.npy` file."""
        return source_of(row.path, read_whole(self._place, row, most_bytes))

    def _found(self) -> Iterator[tuple[str, Stamp]]:
        return ((path, stamp) for path, stamp in self._place.files() if is_image(path))

    def _listed(self, paths: Iterable[str]) -> Iterator[tuple[str, Stamp]]:
        for path in paths:
            try:
                yield path, self._place.stamp(path)
            except (OSError, ValueError):
                yield path, Stamp(-1, None)


def files_matching(place: Place, pattern: str) -> Files:
    """The files that a pattern matches, as `glob` reads it: `**/*.jpg`."""
    with listing(place.address):
        return Files(place, place.matching(pattern))


def files_listed(place: Place, name: str) -> Files:
    """The files whose paths are the lines of a text file, relative to its folder."""
    try:
        with place.open(name) as file:
            lines = file.read().decode("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataSetUnreadable(f"The list {name} cannot be read as text.") from error
    return Files(place, [line for line in lines if line.strip()])


def is_image(path: str) -> bool:
    """Whether a file is an image, or the tensor of one, by its suffix, and not hidden."""
    name = PurePosixPath(path)
    return name.suffix.lower() in SUFFIXES and not name.name.startswith(".")


def source_of(path: str, data: bytes) -> ImageSource | TensorSource:
    """What a file is for a model, by its suffix."""
    if path.lower().endswith(".npy"):
        return TensorSource(read_npy(data, Limits()))
    return ImageSource(data)


def read_whole(place: Place, row: Row, most_bytes: int) -> bytes:
    """The content of a file that is as it was listed."""
    require_short(row, most_bytes)
    if row.nbytes < 0:
        raise input_changed(row)
    with reading(row):
        data = place.read(row.path, 0, row.nbytes + 1)
        # Behind the content: what changed while it was read is found, too.
        stamp = place.stamp(row.path)
    if len(data) != row.nbytes or stamp != Stamp(row.nbytes, row.changed):
        raise input_changed(row)
    return data
