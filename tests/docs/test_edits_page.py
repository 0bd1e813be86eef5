"""The page on edits: its command and its Python run, and print what it says."""

import re
import subprocess
import sys
from pathlib import Path

from PIL import Image
from test_explanation_pages import ROOT, snippets

from layerscope.interventions import EditOptions

PAGE = (ROOT / "docs" / "how-to" / "edits.md").read_text("utf-8")


def test_the_command_answers_about_the_edited_model(address: str) -> None:
    command, _ = snippets(PAGE, "sh", address)
    command = command.replace("curl ", "curl -sSf ")
    done = subprocess.run(
        ["bash", "-c", command], cwd=ROOT, check=True, timeout=60, capture_output=True, text=True
    )
    assert '"edits":["dense;channels=0-15;set=0"]' in done.stdout


def test_the_command_draws_the_change(address: str, tmp_path: Path) -> None:
    _, command = snippets(PAGE, "sh", address)
    command = command.replace("curl ", "curl -sSf ").replace("change.png", str(tmp_path / "change.png"))
    subprocess.run(["bash", "-c", command], cwd=ROOT, check=True, timeout=60)
    assert Image.open(tmp_path / "change.png").size == (343, 85)


def test_the_python_prints_what_the_page_says(address: str) -> None:
    (expected,) = re.findall(r"^```text\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    code = "\n".join(snippets(PAGE, "python", address))
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == expected


def test_every_option_is_explained() -> None:
    for name in EditOptions.model_fields.keys() - {"tap"}:
        assert f"`{name}=" in PAGE
