"""The page on sweeps: its command and its Python run, and print what it says."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from test_explanation_pages import ROOT, snippets

pytestmark = pytest.mark.wide

PAGE = (ROOT / "docs" / "tutorials" / "ablations.md").read_text("utf-8")


def test_the_command_draws_bars(address: str, tmp_path: Path) -> None:
    (command,) = snippets(PAGE, "sh", address)
    command = command.replace("curl ", "curl -sSf ").replace("bars.png", str(tmp_path / "bars.png"))
    subprocess.run(["bash", "-c", command], cwd=ROOT, check=True, timeout=60)
    assert Image.open(tmp_path / "bars.png").format == "PNG"


def test_the_python_prints_what_the_page_says(address: str) -> None:
    (expected,) = re.findall(r"^```text\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    code = "\n".join(snippets(PAGE, "python", address))
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == expected
