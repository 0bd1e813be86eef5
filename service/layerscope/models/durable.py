"""Durable writes: a file is replaced whole or not at all, even if the process or the machine stops in the middle.

The pattern is always the same: write a new file beside the old one, flush it (fsync), rename it over the old one, flush the
folder. The rename is atomic for other processes. The first flush makes sure that the content reaches the disk before the
rename does, the second that the rename itself does.
"""

import errno
import logging
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from layerscope.errors import ControlRefused, SourceUnreachable, StorageFull

logger = logging.getLogger(__name__)

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NO_RIGHT = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
_NOT_THERE = frozenset(
    {
        *(errno.ENOENT, errno.ENOTDIR, errno.EEXIST, errno.ELOOP, errno.EIO, errno.ENXIO, errno.ENODEV),
        *(errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT, errno.EHOSTDOWN),
    }
)


@contextmanager
def storing(what: str = "The directory of models") -> Iterator[None]:
    """Turn errors of the disk into errors for the caller, while a directory is read or written.

    Args:
        what: the directory, as a sentence about it begins.

    Raises:
        SourceUnreachable: the directory, or a part of it, is not there, or its disk fails.
        StorageFull: there is no room.
        ControlRefused: the process has no right to write there.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise no_room() from error
        if error.errno in _NO_RIGHT:
            raise ControlRefused(
                f"{what} may not be written: give the service's user the right to."
            ) from error
        if error.errno in _NOT_THERE:
            logger.warning("%s cannot be used: %s", what, error)
            raise SourceUnreachable(
                f"{what} is not there or its disk fails: an operator must mount or make it again."
            ) from error
        raise


def no_room() -> StorageFull:
    """The error for a full disk."""
    return StorageFull("There is no room left on the disk.")


def is_no_room(error: BaseException | None) -> bool:
    """Whether an error, or one that it was raised from, means that the disk is full."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            return True
        error = error.__cause__ or error.__context__
    return False


def tells_no_room(output: bytes) -> bool:
    """Whether the output of a process that ended says that the disk was full."""
    return any(os.strerror(each).encode() in output for each in _NO_ROOM)


def write_durably(path: Path, text: str) -> None:
    """Replace the text of a file, and flush it to the disk. The caller must exclude other writers of the same file."""
    written = path.with_name(f"{path.name}.new")
    # What lies there already may be a pipe, or a link to another file.
    written.unlink(missing_ok=True)
    with written.open("x", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    written.replace(path)
    synchronise_folder(path.parent)


def write_whole(path: Path, text: str) -> None:
    """Replace the text of a file without a flush to the disk. Many processes may do so at the same time."""
    written = path.with_name(f".{path.name}-{secrets.token_hex(8)}")
    try:
        written.write_text(text, "utf-8")
        written.replace(path)
    except BaseException:
        written.unlink(missing_ok=True)
        raise


def synchronise(folder: Path) -> None:
    """Flush a folder to the disk: the content of its files, then its list of files."""
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    synchronise_folder(folder)


def synchronise_folder(folder: Path) -> None:
    """Flush the list of files of a folder to the disk, which makes a rename into it durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
