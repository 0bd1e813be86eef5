"""Programs that make a file of a place in a process of their own: the process that serves opens no models with Keras."""

import contextlib
import logging
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from layerscope.errors import ModelRefused, SourceUnreachable
from layerscope.limits import MIB

logger = logging.getLogger(__name__)

_REFUSED = 3
_SECONDS = 0.2
_SAID = 4_000
"""Characters of what a program said that are logged: the last ones."""


def made_by(module: str, argument: str, path: Path, failure: str) -> Iterator[bytes]:
    """Run `python -m MODULE ARGUMENT PATH`, and yield the content of the file at `path` that it makes.

    Args:
        module: a program that ends with `exit_code`.
        argument: what it makes the file of.
        path: where it writes.
        failure: what to say if it fails.

    Yields:
        Empty chunks while the program runs, so that the caller can cancel it between two of them; then the content.

    Raises:
        ModelRefused: the program raised it.
        SourceUnreachable: the program failed.
    """
    command = [sys.executable, "-P", "-m", module, argument, str(path)]
    with tempfile.TemporaryFile("w+") as said:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, text=True) as process:  # noqa: S603 - of this package
            try:
                while _goes_on(process):
                    yield b""
            finally:
                process.kill()
            output = process.stdout.read() if process.stdout else ""
        if process.returncode == _REFUSED:
            raise ModelRefused(output.strip())
        if process.returncode != 0:
            said.seek(0)
            logger.warning("%s failed: %s", module, said.read()[-_SAID:])
            raise SourceUnreachable(failure)
    with path.open("rb") as file:
        while chunk := file.read(MIB):
            yield chunk


def exit_code(make: Callable[[], None]) -> int:
    """Make the file, in the program; the exit code that `made_by` understands."""
    try:
        with contextlib.redirect_stdout(sys.stderr):
            make()
    except ModelRefused as error:
        sys.stdout.write(error.message)
        return _REFUSED
    return 0


def _goes_on(process: subprocess.Popen[str]) -> bool:
    try:
        process.wait(_SECONDS)
    except subprocess.TimeoutExpired:
        return True
    return False
