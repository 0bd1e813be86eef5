"""The transfer of the files of one version, within bounds."""

import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from layerscope.errors import Draining, ModelRefused, ModelTooLarge, StorageFull
from layerscope.models.durable import synchronise_folder
from layerscope.models.mirrors.fetched import Fetched, FetchedFile
from layerscope.models.mirrors.places import File, Files, Place


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """Bounds of a transfer.

    Attributes:
        version: the greatest size of all files of a version, in bytes.
        room: the bytes that are left for it under the quota of the mirror.
        is_cancelled: whether to stop, because the service ends.
    """

    version: int
    room: int
    is_cancelled: Callable[[], bool]

    def require(self, size: int) -> None:
        """Check the size of a version, or of the part that was fetched until now.

        Raises:
            ModelTooLarge: it is more than a version may have.
            StorageFull: it is more than there is room for.
            Draining: it was cancelled.
        """
        if size > self.version:
            raise ModelTooLarge(
                f"The files of the version take more than {self.version:,} bytes, see model_file_bytes at /v1/limits.",
                size=size,
                limit=self.version,
            )
        if size > self.room:
            raise StorageFull(
                "With this version those that are fetched take more than they may, see model_store_bytes at /v1/limits.",
                size=size,
                limit=self.room,
            )
        if self.is_cancelled():
            raise Draining("The service ends: it fetches nothing more.")


def fetch(place: Place, files: Files, target: Path, bounds: Bounds, known: Fetched, here: Path) -> Fetched:
    """Write the files of a version into a new folder, and flush them to the disk.

    Args:
        place: the remote place.
        files: the files by path.
        target: the folder, which is created.
        bounds: the greatest size.
        known: the record of the files that were fetched before: files with the same tag are linked, and not fetched again.
        here: the folder of those files.

    Raises:
        ModelTooLarge, StorageFull, Draining: see `Bounds.require`; before anything is fetched, if the place lists sizes.
        ModelRefused: a file changes during the transfer, or cannot be stored under its name.
        SourceUnreachable: the place cannot be read.
    """
    bounds.require(sum(file.size or 0 for file in files.values()))
    fetched: dict[str, FetchedFile] = {}
    for path, file in files.items():
        own = target / path
        own.parent.mkdir(parents=True, exist_ok=True)
        if known.has(path, file.tag):
            _share(here / path, own)
            fetched[path] = known.files[path]
        else:
            fetched[path] = _received(place, file, own, bounds, Fetched(files=fetched).size)
    for folder, _, _ in os.walk(target):
        synchronise_folder(Path(folder))
    return Fetched(files=fetched)


def _received(place: Place, file: File, own: Path, bounds: Bounds, before: int) -> FetchedFile:
    """Fetch one file; `before` is the size of those fetched before it."""
    with own.open("xb") as written:
        try:
            size, digest = _copied(place, file, written, bounds, before)
        except FileNotFoundError as error:
            raise _changed(own) from error
        written.flush()
        os.fsync(written.fileno())
    if file.size not in {size, None}:
        raise _changed(own)
    return FetchedFile(tag=file.tag, size=size, digest=f"sha256-{digest}")


def _copied(place: Place, file: File, written: BinaryIO, bounds: Bounds, before: int) -> tuple[int, str]:
    size, digest = 0, hashlib.sha256()
    for chunk in place.read(file):
        size += len(chunk)
        bounds.require(before + size)
        digest.update(chunk)
        written.write(chunk)
    return size, digest.hexdigest()


def _share(file: Path, own: Path) -> None:
    try:
        os.link(file, own)
    except OSError:  # Not every file system has links.
        shutil.copyfile(file, own)


def _changed(file: Path) -> ModelRefused:
    return ModelRefused(f"{file.name} changed while it was fetched: it is fetched again at the next look.")
