"""Records: what was asked of each job, and what became of it, as data."""

import hashlib
from dataclasses import dataclass
from typing import Literal

from pydantic import TypeAdapter

from layerscope.errors import LayerscopeError
from layerscope.extraction.job import PartFormat
from layerscope.extraction.output import Status
from layerscope.graph.runtime.plans import Runtime
from layerscope.tensors.options import TensorOptions

State = Literal["waiting", "running", "stopped", "done", "failed"]

UNFINISHED: frozenset[State] = frozenset({"waiting", "running"})
"""The states of jobs that are done, or will be."""

_ID_DIGITS = 32


@dataclass(frozen=True, kw_only=True)
class JobRequest:
    """All that decides the result of a job.

    Attributes:
        model: `name@version`.
        digest: of that version.
        layers: selectors.
        options: what makes the values smaller.
        data: the data set, as the caller named it.
        to: where the result is to be, as the caller named it.
        format: of the parts.
        part_images: how many images a part has at most; None chooses.
        runtime: what runs the model.
    """

    model: str
    digest: str
    layers: tuple[str, ...]
    options: TensorOptions
    data: str
    to: str
    format: PartFormat
    part_images: int | None
    runtime: Runtime = "tensorflow"

    @property
    def id(self) -> str:
        """The name of the job: the same request is the same job."""
        return hashlib.sha256(_REQUEST.dump_json(self)).hexdigest()[:_ID_DIGITS]


@dataclass(frozen=True, kw_only=True)
class JobError:
    """Why a job failed, as any error says it."""

    code: str
    message: str
    details: dict[str, object]

    @classmethod
    def of(cls, error: LayerscopeError) -> "JobError":
        """What an error says."""
        return cls(code=error.code, message=error.message, details=error.details)


@dataclass(frozen=True, kw_only=True)
class JobRecord:
    """A job as it is kept.

    Attributes:
        request: what decides its result.
        max_failed: how many of its images may fail, in percent.
        retry: whether images that failed before are tried again.
        owner: the API key that asked for it; None without keys.
        asked: when it was asked for last, in seconds since 1970.
        started: when it began to run last; None if it has not.
        state: what becomes of it.
        error: why it failed.
    """

    request: JobRequest
    max_failed: float
    retry: bool
    owner: str | None
    asked: float
    started: float | None = None
    state: State = "waiting"
    error: JobError | None = None

    @property
    def id(self) -> str:
        """See `JobRequest.id`."""
        return self.request.id


@dataclass(frozen=True)
class JobProgress:
    """How far a job is, as its process wrote last.

    Attributes:
        job: the id of the planned job, see `extraction.job`.
        status: its images and parts.
    """

    job: str
    status: Status


_REQUEST = TypeAdapter(JobRequest)
RECORD = TypeAdapter(JobRecord)
PROGRESS = TypeAdapter(JobProgress)
