"""What the tests of jobs share."""

from contextlib import contextmanager
from pathlib import Path

import pytest


def content(folder):
    """Every file below a folder by its name."""
    folder = Path(folder)
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


@contextmanager
def stopped_after(count):
    """A progress callback that raises after so many parts, as somebody who presses Ctrl+C."""
    seen = []

    def progress(status):
        seen.append(status)
        if len(seen) > count:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        yield progress
