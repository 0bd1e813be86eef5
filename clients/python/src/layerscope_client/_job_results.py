"""Types of answers about jobs, and the rows in the parts of a result. A newer service may send more keys than are named here."""

import io
import json
from collections.abc import Iterator, Sequence
from typing import Any, Literal, TypeAlias, TypedDict

from layerscope_client._error_mapping import unreadable
from layerscope_client._safetensors import Array, parse_safetensors

JobState: TypeAlias = Literal["waiting", "running", "stopped", "done", "failed"]

Row: TypeAlias = dict[str, Any]
"""An image of a result: "path", "image" (the SHA-256 of its content), and the array of each layer by its address."""


class JobProgress(TypedDict):
    """How far a job is: images that are done, failed, and all; parts that are there, and all. Zero until they are listed."""

    done: int
    failed: int
    total: int
    parts: int
    parts_total: int


class JobFailure(TypedDict):
    """Why a job failed."""

    code: str
    message: str
    details: dict[str, Any]


class JobDescription(TypedDict):
    """A job as the service describes it."""

    id: str
    state: JobState
    model: str
    digest: str
    layers: list[str]
    channels: str
    reduce: str
    region: list[int] | None
    stride: int
    dtype: str
    layout: str
    data: str
    to: str
    format: Literal["parquet", "safetensors", "npy", "zarr"]
    part_images: int | None
    runtime: Literal["tensorflow", "openvino"]
    max_failed: float
    asked: str
    started: str | None
    progress: JobProgress
    error: JobFailure | None


class FailedImage(TypedDict):
    """An image that is not in the result, and why."""

    path: str
    code: str
    message: str


def part_rows(kind: str, content: bytes) -> Iterator[Row]:
    """The rows of a part.

    Args:
        kind: Format of the part.
        content: The file.

    Raises:
        AnswerUnreadable: It is damaged.
        ImportError: It is a Parquet file, and pyarrow is not installed.
    """
    yield from _parquet_rows(content) if kind == "parquet" else _safetensors_rows(content)


def table_of(rows: Sequence[Row]) -> Any:
    """The rows as a pandas.DataFrame, with lists of numbers.

    Raises:
        ImportError: pandas is not installed.
    """
    import pandas  # type: ignore[import-untyped,unused-ignore]  # noqa: PLC0415 - only whoever wants a table needs it

    return pandas.DataFrame([{name: _listed(value) for name, value in row.items()} for row in rows])


def _listed(value: Any) -> Any:
    return value if isinstance(value, str) else list(value)


def _safetensors_rows(content: bytes) -> Iterator[Row]:
    tensors, metadata = parse_safetensors(content)
    try:
        paths, images = json.loads(metadata["paths"]), json.loads(metadata["images"])
    except (KeyError, ValueError):
        raise unreadable("as a part of a job, it does not name its images") from None
    for index, (path, image) in enumerate(zip(paths, images, strict=True)):
        yield {"path": path, "image": image} | {name: values[index] for name, values in tensors.items()}


def _parquet_rows(content: bytes) -> Iterator[Row]:
    from pyarrow import parquet  # type: ignore[import-untyped,unused-ignore]  # noqa: PLC0415 - as above

    table = parquet.read_table(io.BytesIO(content))
    columns = {field.name: _column(table[field.name], field.metadata) for field in table.schema}
    for index in range(table.num_rows):
        yield {name: values[index] for name, values in columns.items()}


def _column(column: Any, metadata: dict[bytes, bytes] | None) -> Sequence[Any]:
    """The values of a column: texts, or arrays of the shape that its metadata tell."""
    if metadata is None or b"shape" not in metadata:
        return list(column.to_pylist())
    shape = json.loads(metadata[b"shape"])
    arrays: list[Array] = [
        each.values.to_numpy(zero_copy_only=False).reshape(shape)
        for each in column  # rows
    ]
    return arrays
