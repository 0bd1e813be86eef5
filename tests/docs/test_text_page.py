"""The page on text: its commands and its Python run, and print what it says."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from test_explanation_pages import ROOT, snippets

from layerscope.demo import TEXT_MODEL
from layerscope.text import TokenizerDeclaration
from served_address import served_address

PAGE = (ROOT / "docs" / "how-to" / "text.md").read_text("utf-8")


@pytest.fixture(scope="module")
def text_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service that was started as the page says."""
    folder = tmp_path_factory.mktemp("models")
    shutil.copytree(TEXT_MODEL, folder / "sentences" / "1")
    with served_address("--models", str(folder)) as address:
        yield address


def test_the_commands_answer_and_draw(text_address: str, tmp_path: Path) -> None:
    _, send, link = (each.replace("curl ", "curl -sSf ") for each in snippets(PAGE, "sh", text_address))
    done = subprocess.run(["bash", "-c", send], check=True, timeout=60, capture_output=True, text=True)
    assert '"name":"numbers"' in done.stdout
    subprocess.run(["bash", "-ec", link], cwd=tmp_path, check=True, timeout=60)
    assert Image.open(tmp_path / "words.png").format == "PNG"


def test_the_python_prints_what_the_page_says(text_address: str) -> None:
    (expected,) = re.findall(r"^```text\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    code = "\n".join(snippets(PAGE, "python", text_address))
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == expected


def test_the_tutorial_prints_what_it_says(text_address: str, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "tutorials" / "sentence.md").read_text("utf-8")
    code = "\n".join(snippets(page, "python", text_address))
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "".join(re.findall(r"^```text\n(.*?)^```$", page, re.DOTALL | re.MULTILINE))
    assert Image.open(tmp_path / "why.png").format == "PNG"


def test_every_field_is_explained() -> None:
    for name in TokenizerDeclaration.model_fields.keys() - {"file"}:
        assert f"`{name}`" in PAGE
