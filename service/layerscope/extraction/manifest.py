"""Manifest: the frozen list of the images of a job, one JSON object a line. Shards are ranges of its lines."""

import hashlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from layerscope.errors import DataSetUnreadable
from layerscope.extraction.data_sets import ROW, DataSet, Row
from layerscope.extraction.places import Place


def freeze(data_set: DataSet, path: Path) -> tuple[str, int]:
    """Write the list of a data set's images; its SHA-256, and how many there are.

    Raises:
        DataSetUnreadable: the data set cannot be read, or has no image.
    """
    digest, count = hashlib.sha256(), 0
    with path.open("wb") as file:
        for row in data_set.rows():
            line = ROW.dump_json(row, exclude_none=True) + b"\n"
            file.write(line)
            digest.update(line)
            count += 1
    if not count:
        raise DataSetUnreadable("The data set has no image: files are taken by their suffix, such as .jpg.")
    return digest.hexdigest(), count


def all_rows(path: Path) -> Iterator[Row]:
    """The images of a manifest, from the first on."""
    with path.open("rb") as file:
        for line in file:
            yield ROW.validate_json(line)


class Manifest:
    """A frozen list of images, of which one shard at a time is in memory.

    Args:
        place: that has the list.
        path: of the list in it.
        shard_images: how many images a shard has.
    """

    def __init__(self, place: Place, path: str, shard_images: int) -> None:
        self._place = place
        self._path = path
        self._shard_images = shard_images
        self._starts: list[int] = []
        position = 0
        with place.open(path) as file:
            for number, line in enumerate(file):
                if number % shard_images == 0:
                    self._starts.append(position)
                position += len(line)

    def rows(self, shard: int) -> list[Row]:
        """The images of a shard."""
        with self._place.open(self._path) as file:
            file.seek(self._starts[shard])
            return [ROW.validate_json(line) for line in islice(file, self._shard_images)]
