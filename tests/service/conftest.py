"""Being here puts this folder on the path of every test below it: they import `graph_models`, `eager_reference` and others of this folder."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def keras_2_files(tmp_path_factory):
    """A folder of files that Keras 2 wrote in a process of its own, and of what their layers compute: see `keras_2_models`."""
    folder = tmp_path_factory.mktemp("keras_2")
    program = Path(__file__).with_name("keras_2_models.py")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", program, folder], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    return folder
