"""Jobs: layers of every image of a data set, written to files by processes of their own."""

from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import Annotated, Any, BinaryIO

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import StreamingResponse

from layerscope.errors import JobNotFound, OptionInvalid
from layerscope.extraction.catalog import data_set_named
from layerscope.extraction.output import Output
from layerscope.extraction.planning import require_one_meaning
from layerscope.jobs.record import JobRequest
from layerscope.jobs.store import JobStore
from layerscope_api.context.places import canonical
from layerscope_api.context.scopes import INFER, JOBS_WRITE
from layerscope_api.context.service import Service, ServiceDependency
from layerscope_api.requests.body import read_json
from layerscope_api.responses.event_stream import STREAMS, requested_stream
from layerscope_api.responses.job_stream import JobStreamResponse
from layerscope_api.responses.respond import json_response
from layerscope_api.schemas.jobs import FailedImage, FailedList, JobBody, JobList, JobOptions
from layerscope_api.schemas.media_types import ANY_TYPE, JSON_TYPE
from layerscope_api.schemas.openapi import LOCATION, Responses, errors
from layerscope_api.serializers.jobs import job_body

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

JobId = Annotated[str, Path(description="the id of a job", max_length=64)]
Start = Annotated[int, Query(ge=0, le=2**31 - 1, description="how many to leave out")]
PageLength = Annotated[int, Query(ge=1, le=1000, description="most entries of the answer")]

_PIECE_BYTES = 256 * 1024

_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {JSON_TYPE: {"schema": JobOptions.model_json_schema(mode="validation")}},
    }
}
_STREAMS: Responses = {
    200: {
        "description": "The job as JSON, or as a stream of progress with the job at its end",
        "content": {each: {"schema": {"type": "string"}} for each in STREAMS},
    }
}
_PART: Responses = {
    200: {
        "description": "The part, a Parquet or safetensors file",
        "content": {ANY_TYPE: {"schema": {"type": "string", "format": "binary"}}},
    }
}
_ERRORS = errors(404, 406, 409, 422, 429, 503)


@router.post(
    "",
    status_code=202,
    dependencies=[JOBS_WRITE],
    responses={
        202: {"headers": LOCATION},
        **errors(400, 404, 406, 409, 413, 415, 422, 429, 503, 507),
    },
    openapi_extra=_BODY,
)
async def start_job(request: Request, response: Response, service: ServiceDependency) -> JobBody:
    """Have a job done, or go on with it: the same request is the same job.

    It waits for its turn, and runs in a process with a lower priority than those that answer.
    """
    options = await read_json(request, JobOptions, service.limits, service.request_pool.run)
    owner = request.scope.get("key_id")
    body = await service.request_pool.run(lambda: _added(service, options, owner))
    response.headers["Location"] = f"/v1/jobs/{body.id}"
    return body


@router.get("", dependencies=[INFER], responses=errors(406, 422, 429, 503))
async def list_jobs(service: ServiceDependency, start: Start = 0, limit: PageLength = 50) -> JobList:
    """Every job, the one that was asked for last first, in pages."""

    def listed() -> JobList:
        store = service.jobs
        if store is None:
            return JobList(jobs=[], total=0, next=None)
        records = store.records()
        page = [job_body(store, each, service.places.named) for each in records[start : start + limit]]
        following = start + limit if start + limit < len(records) else None
        return JobList(jobs=page, total=len(records), next=following)

    return await service.request_pool.run(listed)


@router.get("/{job}", dependencies=[INFER], response_model=JobBody, responses={**_ERRORS, **_STREAMS})
async def describe_job(job: JobId, request: Request, service: ServiceDependency) -> Response:
    """State, counts and parts of a job; or, as a stream, its progress until its end."""

    def read() -> JobBody:
        store = _store_with(service, job)
        return job_body(store, store.get(job), service.places.named)

    body = await service.request_pool.run(read)
    stream = requested_stream(request.headers.get("accept"))
    if stream is not None:
        return JobStreamResponse(request, read, lambda: service.lifecycle.is_draining, stream)
    return json_response(body)


@router.delete("/{job}", dependencies=[JOBS_WRITE], responses={**_ERRORS, **errors(507)})
async def stop_job(job: JobId, service: ServiceDependency) -> JobBody:
    """Stop a job. What it has done stays, and the same request goes on with it."""

    def stopped() -> JobBody:
        store = _store_with(service, job)
        return job_body(store, store.stop(job), service.places.named)

    return await service.request_pool.run(stopped)


@router.get("/{job}/failed", dependencies=[INFER], responses=_ERRORS)
async def list_failed(
    job: JobId, service: ServiceDependency, start: Start = 0, limit: PageLength = 100
) -> FailedList:
    """The images that are not in the result, each with a code and a sentence, in pages."""

    def listed() -> FailedList:
        output = _output(service, job)
        failures = (
            each
            for shard in range(0 if output is None else output.job.shards)
            for each in output.failures(shard)  # type: ignore[union-attr]
        )
        page = list(islice(failures, start, start + limit + 1))
        rows = [
            FailedImage(path=each.path, code=each.code, message=service.places.named(each.message))
            for each in page[:limit]
        ]
        return FailedList(failed=rows, next=start + limit if len(page) > limit else None)

    return await service.request_pool.run(listed)


@router.get(
    "/{job}/parts/{part}", dependencies=[INFER], response_class=Response, responses={**_ERRORS, **_PART}
)
async def get_part(
    job: JobId,
    part: Annotated[int, Path(ge=0, le=10**6, description="its number, from 0 on")],
    service: ServiceDependency,
) -> Response:
    """A part of the result that is there: a Parquet or safetensors file."""

    def found() -> tuple[BinaryIO, int, str]:
        output = _output(service, job)
        if output is not None and output.job.format in {"npy", "zarr"}:
            raise OptionInvalid(
                f"A part in the format {output.job.format} is not one file: read the result at its place.",
                option="format",
            )
        with suppress(FileNotFoundError):
            if output is not None and part < output.job.shards:
                return *output.open_part(part), output.part(part).rpartition("/")[2]
        raise JobNotFound(f"The part {part} of the job is not there yet.")

    file, length, name = await service.request_pool.run(found)
    headers = {"Content-Length": str(length), "Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(_pieces(file), media_type=ANY_TYPE, headers=headers)


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while piece := file.read(_PIECE_BYTES):
            yield piece


def _added(service: Service, options: JobOptions, owner: str | None) -> JobBody:
    """A job that was asked for; all that can be known before it runs is checked."""
    store, places = service.required_jobs, service.places
    tensor_options = options.tensor_options()
    require_one_meaning(tensor_options)
    data_set = data_set_named(options.data, service.data_sets)
    places.data(options.data if data_set is None else data_set.record.data)
    places.output(options.to)
    model = service.engine.describe(options.model)
    model.taps.select(options.layers)
    request = JobRequest(
        model=f"{model.name}@{model.version}",
        digest=model.digest,
        layers=tuple(options.layers),
        options=tensor_options,
        data=canonical(options.data),
        to=canonical(options.to),
        format=options.format,
        part_images=options.part_images,
        runtime=options.runtime,
    )
    record = store.add(request, max_failed=options.max_failed, retry=options.retry, owner=owner)
    return job_body(store, record, places.named)


def _store_with(service: Service, job: str) -> JobStore:
    """The jobs.

    Raises:
        JobNotFound: the service does none.
    """
    if service.jobs is None:
        raise JobNotFound(f"There is no job {job!r}.")
    return service.jobs


def _output(service: Service, job: str) -> Output | None:
    """Where the result of a job is; None if it has not begun.

    Raises:
        JobNotFound: there is no such job, or its place has the result of another.
    """
    store = _store_with(service, job)
    record, progress = store.get(job), store.progress(job)
    if progress is None:
        return None
    output = Output(service.places.output(record.request.to))
    if output.job.id != progress.job:
        raise JobNotFound(f"The result of the job {job} was replaced by that of another.")
    return output
