"""Write so that a file is there whole or not at all, whatever happens meanwhile, and say what the disk does not let."""

import errno
import os
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
            raise StorageFull("There is no room left on the disk.") from error
        if error.errno in _NO_RIGHT:
            raise ControlRefused(
                "The directory of models may not be written: give the service's user the right to."
            ) from error
        raise


def write_durably(path: Path, text: str) -> None:
    """Replace a file by one with another text. One at a time may do so."""
    written = path.with_name(f"{path.name}.new")
    with written.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    written.replace(path)
    synchronise_folder(path.parent)


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
