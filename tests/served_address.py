"""The service as a process of its own, for those who need nothing of it but where it is."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager


@contextmanager
def served_address(*options: str, environment: Mapping[str, str] | None = None) -> Iterator[str]:
    """The address of a service that is started with some options, until the block ends."""
    command = [sys.executable, "-m", "layerscope_api", "serve", "--port", "0", *options]
    environment = {**os.environ, "COLUMNS": "300", **(environment or {})}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        lines = iter(process.stderr.readline, "")
        yield next(match[1] for line in lines if (match := re.search(r"serves on (http://\S+)", line)))
        process.terminate()
