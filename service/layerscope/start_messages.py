"""Messages that TensorFlow prints while it is imported: those of the level INFO are dropped."""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_STDERR = 2
_INFO_LINE = re.compile(
    rb"WARNING: All log messages before absl::InitializeLog\(\)|I\d{4} |To enable the following instructions:"
)
"""The beginnings of lines of the level INFO, and of what belongs to them."""


@contextmanager
def without_info_messages() -> Iterator[None]:
    """Keep lines of the level INFO from standard error until the end of the block, where TensorFlow is imported.

    `TF_CPP_MIN_LOG_LEVEL` does not silence all of them. A forked process drops them, so that the last lines
    of an import that crashes are still printed. Nothing is dropped if the operator asked for them with that variable.
    """
    if "tensorflow" in sys.modules or os.environ.get("TF_CPP_MIN_LOG_LEVEL") != "3":
        yield
        return
    sys.stderr.flush()
    reader, writer = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(writer)
        _forward_other_lines(reader)
        os._exit(0)
    os.close(reader)
    kept = os.dup(_STDERR)
    os.dup2(writer, _STDERR)
    os.close(writer)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, _STDERR)
        os.close(kept)
        os.waitpid(process, 0)


def _forward_other_lines(reader: int) -> None:
    with os.fdopen(reader, "rb") as lines:
        for line in lines:
            if not _INFO_LINE.match(line):
                os.write(_STDERR, line)
