"""What is published, built as `make dist` builds it."""

import subprocess
from pathlib import Path

from checkout import ROOT


def build_distributions(folder: Path) -> Path:
    """Build all into a folder. What the target depends on is taken as it is: nothing is installed."""
    installed = ("--old-file=.venv/.dev", "--old-file=clients/js/node_modules")
    command = ["make", *installed, "dist", f"DIST={folder}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder
