"""Store: the folder of jobs, which any number of processes and machines share.

    DIR/<id>.json        the record of a job
    DIR/<id>.progress    how far it is, written by its process; made anew when the job is asked for again
    DIR/lock             held by the process whose scheduler runs the jobs
    DIR/changing         held by who changes a record

Results are not here, but where callers want them. Each record is replaced by one rename.
"""

import fcntl
import os
import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from layerscope.errors import JobDiffers, JobNotFound, QueueFull, QuotaExceeded
from layerscope.jobs.record import (
    PROGRESS,
    RECORD,
    UNFINISHED,
    JobError,
    JobProgress,
    JobRecord,
    JobRequest,
    State,
)
from layerscope.limits import Limits
from layerscope.models.durable import storing, synchronise_folder, write_durably
from layerscope.models.file_lock import locked

_WHAT = "The folder of jobs"
_SUFFIX = ".json"
_TICK_NS = 1_000_000_000
_ID = re.compile(r"[0-9a-f]{1,64}")


class JobStore:
    """The jobs of a folder.

    Args:
        folder: it is made if it is not there.
        limits: how many jobs may wait, and how many are kept.

    Raises:
        ControlRefused, SourceUnreachable, StorageFull: the folder cannot be written.
    """

    def __init__(self, folder: Path, limits: Limits) -> None:
        self.folder = folder
        self._limits = limits
        self._read: dict[str, tuple[tuple[int, int] | None, JobRecord]] = {}
        with storing(_WHAT):
            folder.mkdir(parents=True, exist_ok=True)

    def records(self) -> list[JobRecord]:
        """Every job, the one that was asked for last first. Files are read again only if they have changed."""
        read = {}
        for entry in os.scandir(self.folder):
            job, suffix = os.path.splitext(entry.name)  # noqa: PTH122 - four times as fast as Path
            if suffix != _SUFFIX:
                continue
            with suppress(OSError, ValidationError):
                status = entry.stat()
                seen = status.st_mtime_ns, status.st_ino
                known = self._read.get(job)
                record = known[1] if known and known[0] == seen else self._record(job)
                # Two that were written within a tick of the clock cannot be told apart.
                read[job] = (seen if time.time_ns() - status.st_mtime_ns > _TICK_NS else None, record)
        self._read = read
        return sorted((record for _, record in read.values()), key=lambda each: each.asked, reverse=True)

    def get(self, job: str) -> JobRecord:
        """One job.

        Raises:
            JobNotFound: there is none of that id.
        """
        if _ID.fullmatch(job):
            with suppress(OSError, ValueError):
                return self._record(job)
        raise JobNotFound(f"There is no job {job[:64]!r}.")

    def progress(self, job: str) -> JobProgress | None:
        """How far a job is; None if it has not begun."""
        with suppress(OSError, ValueError):
            return PROGRESS.validate_json(self.progress_file(job).read_bytes())
        return None

    def progress_file(self, job: str) -> Path:
        """Where the process of a job writes how far it is."""
        return self.folder / f"{job}.progress"

    def add(
        self, request: JobRequest, *, max_failed: float = 100.0, retry: bool = False, owner: str | None = None
    ) -> JobRecord:
        """Have a job done. One that waits or runs already is left as it is; another goes on from what is there.

        Raises:
            JobDiffers: another job is about to write to the same place.
            QueueFull, QuotaExceeded: too many jobs wait.
        """
        with self._changing():
            jobs = self.records()
            for each in jobs:
                if each.state in UNFINISHED and each.id == request.id:
                    return each
                if each.state in UNFINISHED and each.request.to == request.to:
                    raise JobDiffers(f"The job {each.id} writes to {request.to}.", job=each.id)
            self._require_room(jobs, owner)
            self._forget_oldest([each for each in jobs if each.id != request.id])
            self.progress_file(request.id).unlink(missing_ok=True)
            record = JobRecord(
                request=request, max_failed=max_failed, retry=retry, owner=owner, asked=time.time()
            )
            self._write(record)
        return record

    def stop(self, job: str) -> JobRecord:
        """Have a job stop that waits or runs; what it has done stays.

        Raises:
            JobNotFound: there is none of that id.
        """
        with self._changing():
            record = self.get(job)
            if record.state in UNFINISHED:
                record = replace(record, state="stopped")
                self._write(record)
        return record

    def change(
        self, job: str, before: State, after: State, error: JobError | None = None
    ) -> JobRecord | None:
        """Give a job another state; None if it is not in the one that is expected."""
        with self._changing(), suppress(JobNotFound):
            record = self.get(job)
            if record.state == before:
                started = time.time() if after == "running" else record.started
                record = replace(record, state=after, error=error, started=started)
                self._write(record)
                return record
        return None

    @contextmanager
    def locked(self) -> Iterator[bool]:
        """Try to be the one process that runs the jobs while the context is entered; whether it is."""
        descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True
        finally:
            os.close(descriptor)

    @contextmanager
    def _changing(self) -> Iterator[None]:
        with storing(_WHAT), locked(self.folder / "changing"):
            yield

    def _require_room(self, jobs: list[JobRecord], owner: str | None) -> None:
        waiting = [each for each in jobs if each.state == "waiting"]
        most = self._limits.waiting_jobs
        if len(waiting) >= most:
            raise QueueFull(f"{most} jobs wait already: ask again when some of them are done.", limit=most)
        share = max(1, most * self._limits.key_percent // 100)
        if owner is not None and Counter(each.owner for each in waiting)[owner] >= share:
            raise QuotaExceeded(f"{share} jobs of this key wait already: wait for one of them.", limit=share)

    def _forget_oldest(self, jobs: list[JobRecord]) -> None:
        """Make room for one more record. What was done stays where it is."""
        ended = [each for each in jobs if each.state not in UNFINISHED]
        spare = len(jobs) + 1 - self._limits.kept_jobs
        for each in ended[::-1][: max(0, spare)]:
            for path in (self._file(each.id), self.progress_file(each.id)):
                path.unlink(missing_ok=True)
        synchronise_folder(self.folder)

    def _record(self, job: str) -> JobRecord:
        return RECORD.validate_json(self._file(job).read_bytes())

    def _write(self, record: JobRecord) -> None:
        write_durably(self._file(record.id), RECORD.dump_json(record, fallback=str).decode())

    def _file(self, job: str) -> Path:
        return self.folder / f"{job}{_SUFFIX}"
