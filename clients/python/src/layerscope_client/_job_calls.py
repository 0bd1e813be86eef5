"""Flows of the calls about jobs: their requests, and the results of their answers."""

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal, TypedDict, cast

import httpx2

from layerscope_client._error_mapping import failure, unreadable
from layerscope_client._flows import Flow, Request, fetch, fetch_json, part_of
from layerscope_client._job_results import FailedImage, JobDescription, JobProgress
from layerscope_client._options import Channels, query

_JOBS = "/v1/jobs"
_ID = re.compile(r"[0-9a-f]{1,64}")
_PAGE = 100
_BAR = 30

PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
"""Seconds to wait, time after time, for a service that is started again."""


class ExtractOptions(TypedDict, total=False):
    """Options of a job. Without options, all values are written as they were computed.

    Attributes:
        channels: The selected channels; not "top:k", which chooses other channels for each image.
        region: (x0, y0, x1, y1) in pixels of the map, x1 and y1 excluded.
        stride: Keep every n-th pixel of the map in each direction.
        reduce: One number per channel instead of a map.
        dtype: The type of the numbers.
        layout: Channels last or first.
        format: The format of the parts. "npy" and "zarr" cannot be read through the service.
        part_images: Images of a part; by default about 64 MiB.
        runtime: What runs the model. "openvino" is an extra of the service, for Intel and AMD processors.
        max_failed: Percentage of the images that may fail; more end the job.
        retry: Whether to try images again that failed before.
    """

    channels: Channels
    region: tuple[int, int, int, int]
    stride: int
    reduce: Literal["none", "mean", "max", "l2"]
    dtype: Literal["native", "float32", "float16"]
    layout: Literal["native", "nhwc", "nchw"]
    format: Literal["parquet", "safetensors", "npy", "zarr"]
    part_images: int
    runtime: Literal["tensorflow", "openvino"]
    max_failed: float
    retry: bool


def start(
    model: str, layers: str | Sequence[str], data: str, to: str, options: Mapping[str, Any]
) -> Flow[JobDescription]:
    """Have a job done."""
    asked = {
        "model": model,
        "layers": [layers] if isinstance(layers, str) else list(layers),
        "data": data,
        "to": to,
    }
    content = json.dumps(asked | dict(options)).encode()
    request = Request("POST", _JOBS, headers={"Content-Type": "application/json"}, content=content)
    return cast("JobDescription", (yield from fetch_json(request)))


def described(job: str) -> Flow[JobDescription]:
    """A job as it is now."""
    return cast("JobDescription", (yield from fetch_json(Request("GET", _path(job)))))


def listed() -> Flow[list[JobDescription]]:
    """Every job, the one that was asked for last first."""
    return [cast("JobDescription", each) for each in (yield from _pages(_JOBS, "jobs"))]


def stop(job: str) -> Flow[JobDescription]:
    """Stop a job."""
    return cast("JobDescription", (yield from fetch_json(Request("DELETE", _path(job)))))


def failed(job: str) -> Flow[list[FailedImage]]:
    """The images that are not in the result."""
    return [cast("FailedImage", each) for each in (yield from _pages(f"{_path(job)}/failed", "failed"))]


def part(job: str, number: int) -> Flow[bytes]:
    """A part of the result."""
    return (yield from fetch(Request("GET", f"{_path(job)}/parts/{number}"))).content


def followed(job: str) -> Request:
    """The request whose answer is a stream of progress."""
    return Request("GET", _path(job), headers={"Accept": "application/x-ndjson"})


def event(line: str, response: httpx2.Response) -> tuple[JobProgress, JobDescription | None]:
    """What a line of that stream says: progress, and at the end the job.

    Raises:
        LayerscopeError: The job failed, or the service is about to end.
    """
    try:
        body = json.loads(line)
    except ValueError:
        body = None
    match body:
        case {"progress": dict(progress)}:
            return cast("JobProgress", progress), None
        case {"result": dict(result)}:
            return part_of(result, "progress"), cast("JobDescription", result)
        case {"code": str()}:
            raise failure(httpx2.Response(200, content=line.encode(), request=response.request))
    raise unreadable("a line of progress in its stream is damaged")


def readable_parts(description: JobDescription) -> range:
    """The numbers of the parts of a result that is whole.

    Raises:
        ValueError: It is not, or cannot be read through the service.
    """
    if description["state"] != "done":
        raise ValueError(f"The job is {description['state']}: wait until it is done.")
    if description["format"] in {"npy", "zarr"}:
        raise ValueError(
            f"A part in the format {description['format']} is not one file: read the result at {description['to']}."
        )
    return range(description["progress"]["parts_total"])


@contextmanager
def drawn(bar: bool | None) -> Iterator[Callable[[JobProgress], None]]:
    """What is to be called with each progress: it draws a bar, if one is wanted; by default at a terminal."""
    if not (sys.stderr.isatty() if bar is None else bar):
        yield lambda _progress: None
        return
    yield _draw
    sys.stderr.write("\n")


def _draw(progress: JobProgress) -> None:
    ended = progress["done"] + progress["failed"]
    filled = _BAR * ended // max(1, progress["total"])
    failures = f", {progress['failed']:,} failed" if progress["failed"] else ""
    bar = f"{'█' * filled}{'░' * (_BAR - filled)}"
    sys.stderr.write(f"\r{bar} {ended:,} of {progress['total']:,} images{failures}")
    sys.stderr.flush()


def _pages(path: str, key: str) -> Flow[list[Any]]:
    found: list[Any] = []
    start: int | None = 0
    while start is not None:
        body = yield from fetch_json(Request("GET", path, query({"start": start, "limit": _PAGE})))
        found += part_of(body, key)
        start = part_of(body, "next")
    return found


def _path(job: str) -> str:
    if _ID.fullmatch(job) is None:
        raise ValueError(f"A job is named by hexadecimal digits, not {job[:80]!r}.")
    return f"{_JOBS}/{job}"
