"""Remote places through fsspec: `s3://`, `gs://`, `az://`, `memory://`. What is written appears by one PUT."""

import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from layerscope.errors import OptionInvalid
from layerscope.extraction.places.place import Stamp
from layerscope.models.mirrors.filesystems import first_tag_of
from layerscope.models.mirrors.places import reaching

_OBJECT_STORES = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "oss", "memory"})
"""Protocols of which an object is seen whole or not at all, by every reader. Others copy a file piece by piece."""


class Remote:
    """A folder at a URL.

    Args:
        address: the URL.
        filesystem: of fsspec.
        root: the path of the folder in it.
    """

    def __init__(self, address: str, filesystem: Any, root: str) -> None:
        self.address = address
        self._filesystem = filesystem
        self._root = root.rstrip("/")

    def exists(self) -> bool:
        """Whether something is below the URL."""
        with reaching(self.address):
            self._filesystem.invalidate_cache()
            return bool(self._filesystem.isdir(self._root))

    def files(self, below: str = "") -> Iterator[tuple[str, Stamp]]:
        """The objects below a folder, by name."""
        found: dict[str, dict[str, Any]] = {}
        with reaching(self.address), suppress(FileNotFoundError):
            self._filesystem.invalidate_cache()
            found = self._filesystem.find(self._path(below), detail=True)
        for path in sorted(found):
            name = path.removeprefix(f"{self._root}/")
            if not any(part.startswith(".") for part in name.split("/")):
                # A page of a web server that lists files does not tell their lengths.
                yield name, self.stamp(name) if found[path].get("size") is None else _stamp(found[path])

    def matching(self, pattern: str) -> list[str]:
        """The paths of the objects that a pattern matches."""
        with reaching(self.address):
            found = self._filesystem.glob(self._path(pattern), detail=True)
        return sorted(
            path.removeprefix(f"{self._root}/") for path, about in found.items() if about["type"] == "file"
        )

    def stamp(self, path: str) -> Stamp:
        """The length of an object, and its tag."""
        with reaching(self.address):
            about = self._filesystem.info(self._path(path))
        if about["type"] != "file":
            raise FileNotFoundError(f"{path} is no file")
        return _stamp(about)

    def open(self, path: str) -> BinaryIO:
        """An object, of which the parts that are read are fetched."""
        with reaching(self.address):
            return io.BufferedReader(_Object(self.address, self._filesystem.open(self._path(path), "rb")))

    def read(self, path: str, start: int, length: int) -> bytes:
        """A part of an object, by one GET."""
        if not length:
            return b""
        with reaching(self.address):
            data: bytes = self._filesystem.cat_file(self._path(path), start=start, end=start + length)
        return data

    def make(self) -> None:
        """Do nothing: an object store has no folders to make."""
        protocols = self._filesystem.protocol
        if _OBJECT_STORES.isdisjoint([protocols] if isinstance(protocols, str) else protocols):
            raise OptionInvalid(
                f"{self.address} can be read only: results are written to a directory or to an object store,"
                " where nobody sees half a file.",
                option="to",
            )

    @contextmanager
    def writing(self, path: str, last: str = "") -> Iterator[Path]:
        """Write to a file of this machine, which is sent at the end; files of a folder one after the other."""
        with tempfile.TemporaryDirectory(prefix="layerscope-") as folder:
            written = Path(folder, PurePosixPath(path).name)
            yield written
            if not written.is_dir():
                self._put(written, path)
                return
            for each in sorted(written.iterdir(), key=lambda each: (each.name == last, each.name)):
                self._put(each, f"{path}/{each.name}")

    def _put(self, written: Path, path: str) -> None:
        with reaching(self.address, "written"):
            self._filesystem.put_file(str(written), self._path(path))

    def delete(self, path: str) -> None:
        """Delete an object."""
        with reaching(self.address, "written"), suppress(FileNotFoundError):
            self._filesystem.rm_file(self._path(path))

    def sweep(self) -> None:
        """Do nothing: what a killed process was sending is never seen."""

    def _path(self, path: str) -> str:
        return f"{self._root}/{path}" if path else self._root


class _Object(io.RawIOBase):
    """An open object, of which every error of the driver is `SourceUnreachable`."""

    def __init__(self, address: str, file: Any) -> None:
        self._address = address
        self._file = file

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a position; nothing is fetched."""
        position: int = self._file.seek(offset, whence)
        return position

    def readinto(self, buffer: Any) -> int:
        """Fetch what comes next."""
        with reaching(self._address):
            data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Forget what was fetched."""
        self._file.close()
        super().close()


def _stamp(about: dict[str, Any]) -> Stamp:
    size = about.get("size")
    return Stamp(-1 if size is None else size, first_tag_of(about))
