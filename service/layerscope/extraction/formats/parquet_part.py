"""Parquet: a row an image, a column a layer, which every tool for tables reads. For vectors, as pooled layers are.

The values of an image are a list of fixed size, without a dictionary and compressed by zstd: lists of any size read slower and take
1.6 times the bytes. Values with several axes are flattened in C order; `shape` in the metadata of the column says what they were.
"""

import json
from math import prod
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from layerscope.extraction.formats.part import Array, Part
from layerscope.extraction.job import JOB, Column


def write(path: Path, part: Part) -> None:
    """Write a part."""
    columns = [_column(part.values[each.address], each) for each in part.job.columns]
    fields = [_field(each, column) for each, column in zip(part.job.columns, columns, strict=True)]
    schema = pa.schema(
        [
            pa.field("path", pa.string(), nullable=False),
            pa.field("image", pa.string(), nullable=False),
            *fields,
        ],
        metadata={"layerscope": JOB.dump_json(part.job)},
    )
    table = pa.table(
        [pa.array(part.paths, pa.string()), pa.array(part.images, pa.string()), *columns], schema
    )
    parquet.write_table(table, path, compression="zstd", use_dictionary=False)


def _column(values: Array, column: Column) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), prod(column.shape))


def _field(column: Column, values: pa.Array) -> pa.Field:
    shape = json.dumps(list(column.shape))
    return pa.field(column.address, values.type, nullable=False, metadata={"shape": shape})
