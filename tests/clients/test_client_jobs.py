"""Jobs in the client: rows of both formats, and progress over a restart of the service. `test_http_jobs` has the real ones."""

import json
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest

from layerscope.extraction.formats import Part, writer_of
from layerscope.extraction.job import Column, Job, PartFormat
from layerscope.tensors.options import TensorOptions
from layerscope_client import Client, _job_calls, errors
from layerscope_client._job_results import part_rows

PROGRESS = {"done": 1, "failed": 0, "total": 2, "parts": 1, "parts_total": 2}
JOB: dict[str, Any] = {
    "id": "0" * 32,
    "state": "running",
    "format": "safetensors",
    "to": "features:",
    "progress": PROGRESS,
}
DONE = JOB | {"state": "done"}


@pytest.mark.parametrize("form", ["parquet", "safetensors"])
def test_rows_have_the_arrays_that_were_written(tmp_path: Path, form: PartFormat) -> None:
    columns = (Column("conv", (2, 3), "float32"), Column("dense", (4,), "float16"))
    job = Job(
        models=None, model="m@1", digest="d", trusted=False, columns=columns, options=TensorOptions(),
        data="photos", manifest="m", images=2, shard_images=2, format=form,
    )  # fmt: skip
    random = np.random.default_rng(0)
    values = {each.address: random.random((2, *each.shape)).astype(each.dtype) for each in columns}
    writer_of(form)(tmp_path / "part", Part(job, 0, "part", [0, 1], ["a.png", "b.png"], ["0", "1"], values))
    rows = list(part_rows(form, (tmp_path / "part").read_bytes()))
    assert [(row["path"], row["image"]) for row in rows] == [("a.png", "0"), ("b.png", "1")]
    for index, row in enumerate(rows):
        for name, arrays in values.items():
            assert row[name].dtype == arrays.dtype
            np.testing.assert_array_equal(row[name], arrays[index])


def followed(answers: list[Any]) -> Client:
    """A client of a service that answers with the next of these each time: an error, or lines of JSON."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        found = answers.pop(0)
        if isinstance(found, Exception):
            raise found
        return httpx2.Response(200, text="".join(f"{json.dumps(each)}\n" for each in found))

    return Client(http=httpx2.Client(transport=httpx2.MockTransport(answer), base_url="http://service"))


def test_a_job_is_followed_over_a_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_job_calls, "PAUSES", (0.0, 0.0, 0.0))
    draining = {"error": "The service is about to end.", "code": "draining", "request_id": "", "details": {}}
    away = httpx2.ConnectError("refused")
    scope = followed(
        [[JOB], [{"progress": PROGRESS}, draining], away, away, [{"progress": PROGRESS}, {"result": DONE}]]
    )
    job = scope.job(JOB["id"])
    with pytest.raises(ValueError, match="running"):
        next(job.rows())
    assert list(job.follow()) == [PROGRESS, PROGRESS]
    assert job.state == "done"
    with pytest.raises(errors.ConnectionFailed):
        followed([[JOB], away, away, away, away]).job(JOB["id"]).wait()


def test_a_job_that_failed_raises_its_error() -> None:
    failed = {"error": "Another job writes there.", "code": "job_differs", "request_id": "", "details": {}}
    with pytest.raises(errors.JobDiffers):
        followed([[JOB], [failed]]).job(JOB["id"]).wait()


def test_what_cannot_be_read_through_the_service_says_where_it_is() -> None:
    with pytest.raises(ValueError, match="features:"):
        next(followed([[DONE | {"format": "zarr"}]]).job(JOB["id"]).rows())


@pytest.mark.parametrize("job", ["", "..", "a/b", "A" * 32])
def test_what_is_no_id_is_sent_nowhere(job: str) -> None:
    with pytest.raises(ValueError, match="hexadecimal"):
        followed([]).job(job)
