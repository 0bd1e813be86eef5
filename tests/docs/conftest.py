"""One service over the demo model, as a process of its own, for the commands of all pages."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """Where it is."""
    command = [sys.executable, "-m", "layerscope_api", "serve", "--port", "0"]
    environment = {**os.environ, "COLUMNS": "300"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        lines = iter(process.stderr.readline, "")
        yield next(match[1] for line in lines if (match := re.search(r"serves on (http://\S+)", line)))
        process.terminate()
