"""The project as it was at an earlier commit, to measure today's state against it in one run."""

import io
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_PARTS = ("service", "api", "clients/js")


@contextmanager
def earlier(commit: str) -> Iterator[Path]:
    """The sources of the service at a commit, in a folder for `serve(source=…)`.

    Args:
        commit: one in the history of this repository.
    """
    command = ["git", "-C", str(_ROOT), "archive", commit, *_PARTS]
    archive = subprocess.run(command, check=True, capture_output=True).stdout
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(fileobj=io.BytesIO(archive)) as files:
            # The explorer has the client by a link.
            files.extractall(folder, filter="tar")
        yield Path(folder)
