"""The content of a part, before it is in a format."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from layerscope.extraction.job import Job

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Part:
    """The images of a shard that did not fail.

    Attributes:
        job: the job.
        shard: the number of the shard.
        path: of the part in the place of the job.
        positions: of the images among those of the shard, failed ones counted.
        paths: of the images, in the order of the manifest.
        images: the SHA-256 of the content of each.
        values: for each column of the job, an array of shape (images, *shape).
    """

    job: Job
    shard: int
    path: str
    positions: Sequence[int]
    paths: Sequence[str]
    images: Sequence[str]
    values: Mapping[str, Array]
