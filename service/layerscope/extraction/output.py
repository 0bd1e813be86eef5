"""Output: the place of a job. What lies there is the job's only state.

    job.json                    the job
    manifest.jsonl              its images
    parts/part-00007.parquet    the result of a shard, whole or not there; a folder for `npy`, and for `zarr` the list of its rows
    maps.zarr/                  with `zarr`, an array a layer, to which each shard adds files of its own
    failed/part-00007.jsonl     the images of a shard that are not in its part, and why

A shard is done when its part is there. A part appears at once, behind the list of what failed in it, so that any number of
processes may do the same shard at any time, be killed, and leave nothing but a hidden file that the next one deletes.
"""

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pydantic import ValidationError

from layerscope.errors import JobDiffers, SourceUnreachable
from layerscope.extraction.job import FAILURE, JOB, Failure, Job
from layerscope.extraction.manifest import Manifest
from layerscope.extraction.places import Place, place_at
from layerscope.models.durable import storing

_JOB = "job.json"
_MANIFEST = "manifest.jsonl"

_SAME = "zarr.json"
"""A file that is the same in all parts: it describes an array of the whole job."""

_LAST = "rows.jsonl"
"""Of a part that is a folder, the file that is written behind all others."""


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
    """The result of a job that has begun.

    Args:
        address: of its place.

    Raises:
        SourceUnreachable: there is no job.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self._place = place_at(address, "to")
        try:
            self.job = JOB.validate_json(_content(self._place, _JOB))
        except (OSError, ValidationError) as error:
            raise SourceUnreachable(f"There is no job in {address}.") from error

    def manifest(self) -> Manifest:
        """The list of the job's images."""
        return Manifest(self._place, _MANIFEST, self.job.shard_images)

    def part(self, shard: int) -> str:
        """The path of the result of a shard: a file, or for `npy` a folder."""
        suffix = {"npy": "", "zarr": ".jsonl"}.get(self.job.format, f".{self.job.format}")
        return f"parts/{_name(shard)}{suffix}"

    def open_part(self, shard: int) -> tuple[BinaryIO, int]:
        """The file that is the result of a shard, and how long it is.

        Raises:
            FileNotFoundError: it is not there.
        """
        length = self._place.stamp(self.part(shard)).nbytes
        return self._place.open(self.part(shard)), length

    def left(self, share: tuple[int, int] = (0, 1)) -> list[int]:
        """The shards that are not done, of the k-th of n shares."""
        with _storing():
            there = {path for path, _ in self._place.files("parts")}
        return [each for each in range(share[0], self.job.shards, share[1]) if self._last(each) not in there]

    def status(self) -> Status:
        """How far the job is, whoever does it."""
        done = set(range(self.job.shards)) - set(self.left())
        failed = sum(len(self.failures(shard)) for shard in self._with_failures() if shard in done)
        images = sum(self.job.size_of(shard) for shard in done)
        return Status(self.job.images, images - failed, failed, len(done), self.job.shards)

    def failures(self, shard: int) -> list[Failure]:
        """The images of a shard that failed."""
        with suppress(FileNotFoundError):
            return [
                FAILURE.validate_json(line) for line in _content(self._place, _failed(shard)).splitlines()
            ]
        return []

    def forget_failed(self) -> int:
        """Make every shard with failed images one that is not done; how many there are."""
        shards = self._with_failures()
        for shard in shards:
            rest = [path for path, _ in self._place.files(self.part(shard))]
            # The list goes last: a killed process leaves a shard that is not done, or one that this finds again.
            for path in (self._last(shard), *rest, _failed(shard)):
                self._place.delete(path)
        return len(shards)

    @contextmanager
    def writing(self, shard: int, failures: list[Failure]) -> Iterator[Path]:
        """Write a part to the path that is given: at the end of the block it is there, whole.

        For `zarr` the path is a folder of all that is to be added to the place.

        Raises:
            StorageFull: there is no room.
        """
        with _storing(), self._writing(shard) as path:
            yield path
            self._write_failures(shard, failures)

    def _writing(self, shard: int) -> AbstractContextManager[Path]:
        if self.job.format == "zarr":
            return self._adding(self.part(shard))
        return self._place.writing(self.part(shard), last=_LAST)

    @contextmanager
    def _adding(self, last: str) -> Iterator[Path]:
        """Copy all that is written to a folder into the place, each file whole, and one behind all others."""
        with tempfile.TemporaryDirectory(prefix="layerscope-") as folder:
            yield Path(folder)
            paths = [path for path, _ in place_at(folder, "to").files()]
            for path in sorted(paths, key=lambda path: (path == last, path)):
                if path.endswith(_SAME) and self._has(path):
                    continue
                with self._place.writing(path) as written:
                    shutil.copyfile(Path(folder, path), written)

    def _has(self, path: str) -> bool:
        with suppress(FileNotFoundError):
            self._place.stamp(path)
            return True
        return False

    def sweep(self) -> None:
        """Delete what killed processes left half written."""
        self._place.sweep()

    def _last(self, shard: int) -> str:
        """The file that is there when all of a part is."""
        return f"{self.part(shard)}/{_LAST}" if self.job.format == "npy" else self.part(shard)

    def _with_failures(self) -> list[int]:
        there = {path for path, _ in self._place.files("failed")}
        return [each for each in range(self.job.shards) if _failed(each) in there]

    def _write_failures(self, shard: int, failures: list[Failure]) -> None:
        path = _failed(shard)
        if not failures:
            self._place.delete(path)
            return
        with self._place.writing(path) as written:
            written.write_bytes(b"".join(FAILURE.dump_json(each) + b"\n" for each in failures))


def create(address: str, job: Job, manifest: Path) -> Output:
    """The result of a job: a new one, or that of the same job, which then goes on.

    Args:
        address: of the place where it is to be.
        job: what is to be done.
        manifest: the list of its images.

    Raises:
        JobDiffers: there is another job, or something else, at the place.
        StorageFull: there is no room.
    """
    place = place_at(address, "to")
    with _storing():
        with suppress(SourceUnreachable):
            output = Output(address)
            if output.job != job:
                raise _other_job(address, output.job, job)
            return output
        if any(path != _MANIFEST for path, _ in place.files()):
            raise JobDiffers(f"{address} is not empty, and has no job: choose another folder.", to=address)
        with place.writing(_MANIFEST) as written:
            shutil.copyfile(manifest, written)
        with place.writing(_JOB) as written:
            written.write_bytes(json.dumps(json.loads(JOB.dump_json(job)), indent=2).encode())
    return Output(address)


def _storing() -> AbstractContextManager[None]:
    return storing("The folder of the result")


def _content(place: Place, path: str) -> bytes:
    with place.open(path) as file:
        return file.read()


def _name(shard: int) -> str:
    return f"part-{shard:05d}"


def _failed(shard: int) -> str:
    return f"failed/{_name(shard)}.jsonl"


def _other_job(address: str, there: Job, job: Job) -> JobDiffers:
    differs = [name for name in Job.__dataclass_fields__ if getattr(there, name) != getattr(job, name)]
    if {"manifest"} <= set(differs) <= {"manifest", "images", "columns", "shard_images"}:
        return JobDiffers(
            f"The data set is not as it was when the job in {address} began: go on with the images that were there then, by"
            " layerscope extract retry, or choose another folder.",
            differs=differs,
        )
    return JobDiffers(
        f"{address} has the result of another job, which differs in {', '.join(differs)}: choose another folder.",
        differs=differs,
    )
