"""Output: the folder of a job. What lies there is the job's only state.

    DIR/job.json                    the job
    DIR/manifest.jsonl              its images
    DIR/parts/part-00007.parquet    the result of a shard, whole or not there; a folder for `npy`
    DIR/failed/part-00007.jsonl     the images of a shard that are not in its part, and why

A shard is done when its part is there. A part appears by one rename, behind the list of what failed in it, so that any number of
processes may do the same shard at any time, be killed, and leave nothing but a hidden file that the next one deletes.
"""

import json
import os
import secrets
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from layerscope.errors import JobDiffers, SourceUnreachable
from layerscope.extraction.job import FAILURE, JOB, Failure, Job
from layerscope.models.durable import storing, synchronise_folder

_HOST = socket.gethostname().replace("~", "-").replace("/", "-")

_OLD_SECONDS = 24 * 3_600
"""When a hidden file belongs to no process any more."""


@dataclass(frozen=True)
class Status:
    """How far a job is.

    Attributes:
        images: how many it has.
        done: how many of them are in parts.
        failed: how many are listed as failed.
        parts: how many shards are done.
        shards: how many there are.
    """

    images: int
    done: int
    failed: int
    parts: int
    shards: int

    @property
    def is_complete(self) -> bool:
        """Whether every shard is done."""
        return self.parts == self.shards


class Output:
    """The folder of a job that is there.

    Raises:
        SourceUnreachable: there is no job in it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            self.job = JOB.validate_json((folder / "job.json").read_bytes())
        except (OSError, ValidationError) as error:
            raise SourceUnreachable(f"There is no job in {folder}.") from error

    @property
    def manifest(self) -> Path:
        """The list of the job's images."""
        return self.folder / "manifest.jsonl"

    def part(self, shard: int) -> Path:
        """Where the result of a shard is, when it is done."""
        suffix = "" if self.job.format == "npy" else f".{self.job.format}"
        return self.folder / "parts" / f"{_name(shard)}{suffix}"

    def left(self, share: tuple[int, int] = (0, 1)) -> list[int]:
        """The shards that are not done, of the k-th of n shares."""
        there = {path.name for path in (self.folder / "parts").iterdir()}
        return [
            each for each in range(share[0], self.job.shards, share[1]) if self.part(each).name not in there
        ]

    def status(self) -> Status:
        """How far the job is, whoever does it."""
        done = set(range(self.job.shards)) - set(self.left())
        failed = sum(len(self.failures(shard)) for shard in done)
        images = sum(self.job.size_of(shard) for shard in done)
        return Status(self.job.images, images - failed, failed, len(done), self.job.shards)

    def failures(self, shard: int) -> list[Failure]:
        """The images of a shard that failed."""
        with suppress(FileNotFoundError):
            return [FAILURE.validate_json(line) for line in self._failed(shard).read_bytes().splitlines()]
        return []

    def forget_failed(self) -> int:
        """Make every shard with failed images one that is not done; how many there are."""
        count = 0
        for shard in range(self.job.shards):
            if self.failures(shard):
                path = self.part(shard)
                # The list goes last: a killed process leaves a shard that is not done, or one that this finds again.
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
                self._failed(shard).unlink()
                count += 1
        return count

    @contextmanager
    def writing(self, shard: int, failures: list[Failure]) -> Iterator[Path]:
        """Write a part to the path that is given: at the end of the block it is there, whole.

        Raises:
            StorageFull: there is no room.
        """
        with storing(), whole(self.part(shard)) as path:
            yield path
            self._write_failures(shard, failures)

    def sweep(self) -> None:
        """Delete what killed processes left half written."""
        for folder in (self.folder / "parts", self.folder / "failed"):
            for path in folder.glob(".*~*~*~*"):
                with suppress(OSError):
                    if _is_abandoned(path):
                        shutil.rmtree(path) if path.is_dir() else path.unlink()

    def _failed(self, shard: int) -> Path:
        return self.folder / "failed" / f"{_name(shard)}.jsonl"

    def _write_failures(self, shard: int, failures: list[Failure]) -> None:
        path = self._failed(shard)
        if not failures:
            path.unlink(missing_ok=True)
            return
        with whole(path) as written:
            written.write_bytes(b"".join(FAILURE.dump_json(each) + b"\n" for each in failures))


def create(folder: Path, job: Job, manifest: Path) -> Output:
    """The folder of a job: a new one, or that of the same job, which then goes on.

    Args:
        folder: where the result is to be.
        job: what is to be done.
        manifest: the list of its images; it is moved.

    Raises:
        JobDiffers: there is another job, or something else, in the folder.
        StorageFull: there is no room.
    """
    with storing():
        if (folder / "job.json").exists():
            there = Output(folder)
            if there.job != job:
                raise _other_job(folder, there.job, job)
            return there
        if folder.is_dir() and any(path.name[0] != "." for path in folder.iterdir()):
            raise JobDiffers(
                f"{folder} is not empty, and has no job: choose another folder.", folder=str(folder)
            )
        for name in ("parts", "failed"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        manifest.replace(folder / "manifest.jsonl")
        with whole(folder / "job.json") as written:
            written.write_bytes(json.dumps(json.loads(JOB.dump_json(job)), indent=2).encode())
    return Output(folder)


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Write a file or a folder beside `path`: at the end of the block it is flushed to the disk, and takes its place by one rename."""
    written = path.with_name(f".{path.name}~{_HOST}~{os.getpid()}~{secrets.token_hex(4)}")
    try:
        yield written
        files = list(written.iterdir()) if written.is_dir() else [written]
        for each in files:
            with each.open("rb") as file:
                os.fsync(file.fileno())
        if written.is_dir():
            synchronise_folder(written)
            # A folder is not replaced by a rename. Another process that did the same shard wrote the same.
            if path.exists():
                return
        written.rename(path)
        synchronise_folder(path.parent)
    finally:
        with suppress(OSError):
            shutil.rmtree(written) if written.is_dir() else written.unlink()


def _name(shard: int) -> str:
    return f"part-{shard:05d}"


def _is_abandoned(path: Path) -> bool:
    """Whether the process that wrote a hidden file is gone. Of one on another machine, nobody knows for a day."""
    *_, host, process, _ = path.name.split("~")
    if host == _HOST and not Path("/proc", process).exists():
        return True
    return time.time() - path.stat().st_mtime > _OLD_SECONDS


def _other_job(folder: Path, there: Job, job: Job) -> JobDiffers:
    differs = [name for name in Job.__dataclass_fields__ if getattr(there, name) != getattr(job, name)]
    if {"manifest"} <= set(differs) <= {"manifest", "images", "columns", "shard_images"}:
        return JobDiffers(
            f"The data set is not as it was when the job in {folder} began: go on with the images that were there then, by"
            " layerscope extract retry, or choose another folder.",
            differs=differs,
        )
    return JobDiffers(
        f"{folder} has the result of another job, which differs in {', '.join(differs)}: choose another folder.",
        differs=differs,
    )
