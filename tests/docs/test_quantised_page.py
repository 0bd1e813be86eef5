"""The page on quantised models: its Python makes the twins, and its commands say what the page says."""

import io
import re
import shlex
import shutil
import subprocess
import sys
from contextlib import chdir
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient
from typer.testing import CliRunner

from digit_images import write_digits
from layerscope.demo import MODELS
from layerscope_api.cli.app import app
from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app

pytestmark = pytest.mark.wide

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "tutorials" / "quantised.md").read_text("utf-8")
COMMANDS = re.findall(r"^layerscope compare .*$", PAGE, re.MULTILINE)
PICTURES = re.findall(r'compare\.png\?(\S+)".* -o (\S+)$', PAGE, re.MULTILINE)
ROWS = [row.split(" | ") for row in re.findall(r"^\| (?:conv|dense|prob).*$", PAGE, re.MULTILINE)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the page says there is, and the twins."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(MODELS / "digits" / "1", folder / "models" / "digits" / "1")
    write_digits(folder / "images")
    code = "".join(re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE))
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, timeout=120, capture_output=True)
    return folder


def test_the_commands_print_the_tables_of_the_page(folder: Path) -> None:
    printed = []
    for command in COMMANDS:
        with chdir(folder):
            done = CliRunner().invoke(app, shlex.split(command)[1:])
        assert done.exit_code in {0, 1}, done.stderr
        printed += [
            row.split(" | ") for row in re.findall(r"^\| (?:conv|dense|prob).*$", done.stdout, re.MULTILINE)
        ]
    assert len(printed) == len(ROWS)
    for row, expected in zip(printed, ROWS, strict=True):
        assert (row[0], row[2:]) == (expected[0], expected[2:])
        # Other processors give other last digits, and round otherwise.
        assert float(row[1]) == pytest.approx(float(expected[1]), rel=0.02, abs=1e-6)


@pytest.mark.parametrize(("options", "picture"), PICTURES)
def test_the_pictures_are_what_the_service_draws(folder: Path, options: str, picture: str) -> None:
    with TestClient(create_app(Settings(models=str(folder / "models")))) as http:
        image = (folder / "images" / "seven.png").read_bytes()
        answer = http.post(f"/v1/compare.png?{options}", files={"image": ("seven.png", image, "image/png")})
    assert answer.status_code == 200, answer.text
    drawn, kept = (
        np.asarray(Image.open(file).convert("RGB"), np.float64)
        for file in (io.BytesIO(answer.content), DOCS / "images" / picture)
    )
    assert drawn.shape == kept.shape
    assert np.abs(drawn - kept).mean() < 5
