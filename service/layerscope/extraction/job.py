"""Jobs as data: any process, on any machine that sees the same folders, can be told to do a part of one."""

import hashlib
from dataclasses import dataclass
from math import prod
from typing import Literal

import numpy as np
from pydantic import TypeAdapter

from layerscope.graph.runtime.plans import Runtime
from layerscope.tensors.options import TensorOptions

PartFormat = Literal["parquet", "safetensors", "npy", "zarr"]


@dataclass(frozen=True)
class Column:
    """One layer in the result.

    Attributes:
        address: of the tap.
        shape: of the values of one image, after all options.
        dtype: their type, as numpy names it.
    """

    address: str
    shape: tuple[int, ...]
    dtype: str

    @property
    def nbytes(self) -> int:
        """Bytes of the values of one image."""
        return prod(self.shape) * np.dtype(self.dtype).itemsize


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is extracted from what.

    Attributes:
        models: the model directory or source; None for the demo model's.
        model: `name@version`.
        digest: of that version. A process that finds another refuses to go on.
        trusted: whether SavedModels may be opened.
        columns: the layers, in graph order.
        options: what makes their values smaller.
        data: the data set, see `data_sets.open_data_set`.
        within: the folder that no image may be outside of; None for no such bound.
        manifest: SHA-256 of the frozen list of its images.
        images: how many these are.
        shard_images: how many of them a shard has; the last one may have fewer.
        format: of the parts.
        runtime: what runs the model. OpenVINO's values differ from TensorFlow's by rounding.
    """

    models: str | None
    model: str
    digest: str
    trusted: bool
    columns: tuple[Column, ...]
    options: TensorOptions
    data: str
    within: str | None = None
    manifest: str
    images: int
    shard_images: int
    format: PartFormat
    runtime: Runtime = "tensorflow"

    @property
    def shards(self) -> int:
        """How many shards there are, numbered from 0 on."""
        return -(-self.images // self.shard_images)

    def size_of(self, shard: int) -> int:
        """How many images a shard has."""
        return min(self.shard_images, self.images - shard * self.shard_images)

    @property
    def id(self) -> str:
        """A name of everything that decides the result: parts of two jobs with one name are the same."""
        return hashlib.sha256(JOB.dump_json(self)).hexdigest()


@dataclass(frozen=True)
class Receipt:
    """What became of a shard.

    Attributes:
        shard: its number.
        images: how many of its images are in its part.
        failed: how many are listed as failed.
        seconds: how long it took.
    """

    shard: int
    images: int
    failed: int
    seconds: float


@dataclass(frozen=True)
class Failure:
    """Why an image is not in the result.

    Attributes:
        path: of the image, as the manifest has it.
        code: of the error.
        message: a sentence for a person.
    """

    path: str
    code: str
    message: str


JOB = TypeAdapter(Job)
FAILURE = TypeAdapter(Failure)
