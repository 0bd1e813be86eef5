"""Manifest: the frozen list of the images of a job, one JSON object a line. Shards are ranges of its lines."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from layerscope.errors import DataSetUnreadable, TooMany
from layerscope.extraction.data_sets import ROW, Row
from layerscope.extraction.places import Place


@dataclass(frozen=True)
class Frozen:
    """What a frozen list has.

    Attributes:
        digest: its SHA-256.
        images: how many images it lists.
        nbytes: of all of them together.
        labels: how many images have each label.
    """

    digest: str
    images: int
    nbytes: int
    labels: Mapping[str, int]


def freeze(rows: Iterator[Row], path: Path, most_images: int | None = None) -> Frozen:
    """Write the list of a data set's images.

    Args:
        rows: the images.
        path: of the list.
        most_images: how many there may be; None for no such bound.

    Raises:
        DataSetUnreadable: the data set cannot be read, or has no image.
        TooMany: it has more images.
    """
    digest, count, nbytes, labels = hashlib.sha256(), 0, 0, Counter[str]()
    with path.open("wb") as file:
        for row in rows:
            if count == most_images:
                raise TooMany(
                    f"The data set has more than {most_images:,} images",
                    ways=("name a part of it", "let the service be set up with more data_set_images"),
                    limit=most_images,
                )
            line = ROW.dump_json(row, exclude_none=True) + b"\n"
            file.write(line)
            digest.update(line)
            count += 1
            nbytes += max(0, row.nbytes)
            if row.label is not None:
                labels[row.label] += 1
    if not count:
        raise DataSetUnreadable("The data set has no image: files are taken by their suffix, such as .jpg.")
    return Frozen(digest.hexdigest(), count, nbytes, dict(sorted(labels.items())))


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
