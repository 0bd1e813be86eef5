"""Jobs as JSON."""

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime

from layerscope.jobs.record import JobError, JobRecord
from layerscope.jobs.store import JobStore
from layerscope_api.schemas.jobs import JobBody, JobErrorBody, JobProgressBody


def job_body(store: JobStore, record: JobRecord, named: Callable[[str], str]) -> JobBody:
    """A job, and how far it is. It reads a file.

    Args:
        store: of the job.
        record: the job.
        named: takes what callers need not know of this machine out of a text.
    """
    request = record.request
    return JobBody(
        id=record.id,
        state=record.state,
        model=request.model,
        digest=request.digest,
        layers=list(request.layers),
        **dataclasses.asdict(request.options),
        data=request.data,
        to=request.to,
        format=request.format,
        part_images=request.part_images,
        runtime=request.runtime,
        max_failed=record.max_failed,
        asked=_time(record.asked),
        started=None if record.started is None else _time(record.started),
        progress=_progress_body(store, record.id),
        error=None if record.error is None else _error_body(record.error, named),
    )


def _error_body(error: JobError, named: Callable[[str], str]) -> JobErrorBody:
    details = {
        name: named(value) if isinstance(value, str) else value for name, value in error.details.items()
    }
    return JobErrorBody(code=error.code, message=named(error.message), details=details)


def _progress_body(store: JobStore, job: str) -> JobProgressBody:
    progress = store.progress(job)
    if progress is None:
        return JobProgressBody(done=0, failed=0, total=0, parts=0, parts_total=0)
    status = progress.status
    return JobProgressBody(
        done=status.done,
        failed=status.failed,
        total=status.images,
        parts=status.parts,
        parts_total=status.shards,
    )


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
