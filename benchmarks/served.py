"""The service under measurement: a process of its own over a directory of models, asked over a real socket."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ADDRESS = re.compile(r"serves on (http://\S+)")


@contextmanager
def served(models: Path) -> Iterator[str]:
    """Run `layerscope serve` over `models` and give its address; it ends with the block."""
    command = [sys.executable, "-m", "layerscope_api", "serve", "--models", str(models), "--port", "0"]
    environment = {**os.environ, "COLUMNS": "200"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        try:
            yield _address(process)
        finally:
            process.terminate()


def _address(process: "subprocess.Popen[str]") -> str:
    assert process.stderr is not None  # noqa: S101 - asked for above
    said = []
    for line in process.stderr:
        said.append(line)
        if match := ADDRESS.search(line):
            return match[1]
    raise SystemExit("The service did not start:\n" + "".join(said))
