"""zarr: one array a layer for the whole job, (images, *shape), in `maps.zarr`: Zarr 3, for maps. A chunk is an image, a shard is a part.

Row i is line i of the manifest. An image that failed, or is not done yet, is NaN, or zero in a layer of whole numbers. No two parts
write to one file. `parts/part-00007.jsonl`, the last file of a part, has row, path and SHA-256 of each of its images.
"""

import json
from math import nan
from pathlib import Path
from urllib.parse import quote

import numpy as np
import zarr
from zarr.codecs import ZstdCodec

from layerscope.extraction.formats.part import Part
from layerscope.extraction.job import JOB, Column, Job


def write(folder: Path, part: Part) -> None:
    """Write a part: below the folder, what is to be below the place of the job."""
    group = zarr.create_group(
        folder / "maps.zarr", attributes={"layerscope": json.loads(JOB.dump_json(part.job))}
    )
    first = part.shard * part.job.shard_images
    rows = slice(first, first + part.job.size_of(part.shard))
    for column in part.job.columns:
        array = _array(group, column, part.job)
        values = np.full((rows.stop - first, *column.shape), array.fill_value, column.dtype)
        values[list(part.positions)] = part.values[column.address]
        array[rows] = values
    lines = [
        json.dumps({"row": first + position, "path": path, "image": image}, ensure_ascii=False) + "\n"
        for position, path, image in zip(part.positions, part.paths, part.images, strict=True)
    ]
    (folder / part.path).parent.mkdir()
    (folder / part.path).write_text("".join(lines), "utf-8")


def _array(group: zarr.Group, column: Column, job: Job) -> zarr.Array:
    is_float = np.issubdtype(column.dtype, np.inexact)
    return group.create_array(
        # A path in a group would be a group of its own.
        quote(column.address, safe=":@"),
        shape=(job.images, *column.shape),
        chunks=(1, *column.shape),
        shards=(job.shard_images, *column.shape),
        dtype=column.dtype,
        fill_value=nan if is_float else 0,
        compressors=ZstdCodec(),
        attributes={"layer": column.address},
    )
