"""Remote places that fsspec reads: `s3://`, `gs://`, `az://`, `memory://`, `file://` and many more.

Each protocol needs its driver package, such as s3fs. The driver reads keys and addresses from the environment, as its
documentation and fsspec's describe (`FSSPEC_S3_ENDPOINT_URL`, for example).
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from layerscope.errors import ModelRefused, OptionInvalid, SourceUnreachable
from layerscope.limits import MIB
from layerscope.models.directory import Key
from layerscope.models.mirrors.places import File, Files, reaching, versions_among
from layerscope.models.regular_files import NotRegular, open_regular

_CHUNK = 4 * MIB
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*(://|::)\S")
_ACCESS = re.compile(r"//[^/@]*@")

_CONTENT = ("ETag", "etag", "md5Hash", "crc32c", "generation", "checksum", "sha256")
_TIMES = ("mtime", "LastModified", "last_modified", "updated", "modified", "created", "ino")


def is_url(text: str) -> bool:
    """Whether a text is a URL, and not a path of this machine."""
    return _URL.match(text) is not None


def filesystem_at(url: str, option: str) -> tuple[Any, str, str]:
    """The file system of a URL, the path in it, and a name for messages, without secrets.

    Args:
        url: as fsspec understands it.
        option: that the URL was given for.

    Raises:
        OptionInvalid: fsspec, or the driver of the protocol, is not installed, or there is no such protocol.
    """
    name = _ACCESS.sub("//", url)
    try:
        from fsspec.core import url_to_fs  # noqa: PLC0415 - an extra

        filesystem, path = url_to_fs(url, use_listings_cache=False)
    except (ImportError, ValueError) as error:
        raise _no_driver(name, option, error) from error
    return filesystem, path, name


def require_driver(url: str, option: str) -> None:
    """Check that a URL can be used, without the threads that its file system has.

    Raises:
        OptionInvalid: see `filesystem_at`.
    """
    try:
        from fsspec import get_filesystem_class  # noqa: PLC0415 - an extra

        get_filesystem_class(re.split("::|://", url, maxsplit=1)[0])
    except (ImportError, ValueError) as error:
        raise _no_driver(_ACCESS.sub("//", url), option, error) from error


def _no_driver(name: str, option: str, error: Exception) -> OptionInvalid:
    return OptionInvalid(
        f"{name} needs layerscope[remote] and the driver of its protocol to be installed: {error}.",
        option=option,
    )


class Filesystem:
    """A folder at a URL.

    Args:
        url: as fsspec understands it.

    Raises:
        OptionInvalid: fsspec, or the driver of the protocol, is not installed, or there is no such protocol.
    """

    def __init__(self, url: str) -> None:
        self._filesystem, self._root, self.name = filesystem_at(url, "models")

    def versions(self) -> dict[Key, Files]:
        """All versions below the URL.

        Raises:
            SourceUnreachable: it cannot be read, or nothing is there.
        """
        with reaching(self.name):
            self._filesystem.invalidate_cache()
            listed = self._listed()
            if not listed and not self._filesystem.exists(self._root):
                raise SourceUnreachable(f"There is nothing at {self.name}.")
        top = self._root.rstrip("/") + "/"
        return versions_among(
            {
                path.removeprefix(top): File(path, about.get("size"), _tag(about))
                for path, about in listed.items()
                if path.startswith(top)
            }
        )

    def _listed(self) -> dict[str, dict[str, Any]]:
        with suppress(FileNotFoundError):
            found: dict[str, dict[str, Any]] = self._filesystem.find(self._root, detail=True)
            return found
        return {}

    def read(self, file: File) -> Iterator[bytes]:
        """The content of a file, in chunks.

        Raises:
            FileNotFoundError: it was deleted since it was listed.
            SourceUnreachable: it cannot be read.
            ModelRefused: it is a file of this machine and none that ends, such as a pipe or a device.
        """
        with reaching(self.name), self._opened(file.address) as opened:
            while chunk := opened.read(_CHUNK):
                yield chunk

    def _opened(self, address: str) -> Any:
        if not getattr(self._filesystem, "local_file", False):
            return self._filesystem.open(address, "rb", block_size=_CHUNK)
        try:
            return open_regular(Path(address), follow=True)
        except NotRegular as error:
            raise ModelRefused(
                f"{PurePosixPath(address).name} is no regular file: it is not fetched."
            ) from error


def first_tag_of(about: Mapping[str, Any]) -> str | None:
    """The best tag alone: a driver may tell more of a file that is asked for by its name than of one that it lists."""
    for name in (*_CONTENT, *_TIMES):
        value = about.get(name)
        if value is not None and value != "":
            return f"{name}={value.timestamp() if isinstance(value, datetime) else value}"
    return None


def _tag(about: Mapping[str, Any]) -> str | None:
    """A tag that changes with a file: a digest that the file system lists, else its times."""
    for names in (_CONTENT, _TIMES):
        values = [f"{name}={about[name]}" for name in names if about.get(name) is not None]
        if values:
            return " ".join([f"size={about.get('size')}", *values])
    return None
