"""Write so that a file is there whole or not at all, whatever happens meanwhile, and say what the disk does not let."""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from layerscope.errors import ControlRefused, StorageFull

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NO_RIGHT = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})


@contextmanager
def storing() -> Iterator[None]:
    """While something is written into the directory of models.

    Raises:
        StorageFull: there is no room.
        ControlRefused: it may not be written.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise no_room() from error
        if error.errno in _NO_RIGHT:
            raise ControlRefused(
                "The directory of models may not be written: give the service's user the right to."
            ) from error
        raise


def no_room() -> StorageFull:
    """What to say where the disk is full."""
    return StorageFull("There is no room left on the disk.")


def is_no_room(error: BaseException | None) -> bool:
    """Whether an error, or one that it came from, is that the disk is full."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            return True
        error = error.__cause__ or error.__context__
    return False


def tells_no_room(output: bytes) -> bool:
    """Whether a process has said before its end that the disk is full."""
    return any(os.strerror(each).encode() in output for each in _NO_ROOM)


def write_durably(path: Path, text: str) -> None:
    """Replace a file by one with another text. One at a time may do so."""
    written = path.with_name(f"{path.name}.new")
    with written.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    written.replace(path)
    synchronise_folder(path.parent)


def write_whole(path: Path, text: str) -> None:
    """Replace a file by one with another text. Many at a time may do so, and it need not outlast the machine."""
    written = path.with_name(f".{path.name}-{secrets.token_hex(8)}")
    written.write_text(text, "utf-8")
    written.replace(path)


def synchronise(folder: Path) -> None:
    """Have on the disk what is in a folder: the files, then the list of them."""
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    synchronise_folder(folder)


def synchronise_folder(folder: Path) -> None:
    """Have on the disk which files a folder has."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
