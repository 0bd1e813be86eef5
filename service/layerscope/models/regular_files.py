"""Files in folders that other people may write to: regular ones only, and of records a few kilobytes.

Opening a pipe waits for a writer, a device may give bytes without end, and a link may lead to a file that is none of the
service's business.
"""

import os
import stat
from pathlib import Path
from typing import BinaryIO

_LONGEST = 16 * 1024 * 1024


class NotRegular(OSError):
    """The file is no regular file, or longer than any record."""


def read_record(path: Path, *, follow: bool = False) -> bytes:
    """The content of a regular file.

    Args:
        path: the file.
        follow: whether it may be a link to one.

    Raises:
        NotRegular: it is a pipe, a device, a socket, a folder or a link, or longer than 16 MiB.
        OSError: it is missing, or may not be read.
    """
    with open_regular(path, follow=follow) as file:
        content = file.read(_LONGEST + 1)
    if len(content) > _LONGEST:
        raise NotRegular(f"{path.name} is longer than a record may be.")
    return content


def open_regular(path: Path, *, follow: bool = False) -> BinaryIO:
    """A regular file, opened for reading.

    Args:
        path: the file.
        follow: whether it may be a link to one.

    Raises:
        NotRegular: it is a pipe, a device, a socket, a folder or a link.
        OSError: it is missing, or may not be read.
    """
    # Opening some devices has effects, so that it is looked at before; another file may take its place, so behind, too.
    _require_regular(path, path.stat(follow_symlinks=follow))
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    file = open(os.open(path, flags), "rb")  # noqa: PTH123, SIM115 - of a descriptor, and for the caller to close
    try:
        _require_regular(path, os.fstat(file.fileno()))
    except BaseException:
        file.close()
        raise
    return file


def _require_regular(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise NotRegular(f"{path.name} is no regular file.")
