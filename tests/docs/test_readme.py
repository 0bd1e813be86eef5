"""Every command and snippet of the README, run against the real service."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from layerscope.models.manifest import Manifest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
WRITTEN_ADDRESS = "http://127.0.0.1:8000"
PHOTOS = "service/layerscope/demo/photos"


def snippets(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


CURLS = [line for block in snippets("sh") for line in block.splitlines() if line.startswith("curl ")]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder that has what the snippets read, and takes what they write."""
    shutil.copytree(ROOT / PHOTOS, tmp_path / PHOTOS)
    return tmp_path


def run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("command", CURLS)
def test_curl(command: str, address: str, clone: Path) -> None:
    output = run(
        ["bash", "-c", command.replace(WRITTEN_ADDRESS, address).replace("curl ", "curl -sSf ")], clone
    )
    if "-o block2b.npy" in command:
        assert np.load(clone / "block2b.npy").shape == (1, 56, 56, 24)
    elif "-o why.png" in command:
        assert Image.open(clone / "why.png").size == (360, 360)
    else:
        (output_of_model,) = json.loads(output)["outputs"]
        assert output_of_model["predictions"][0][0]["name"] == "espresso"


def test_the_three_curl_lines_are_there() -> None:
    assert len(CURLS) == 3


def test_python(address: str, clone: Path) -> None:
    (snippet,) = snippets("python")
    assert len(snippet.strip().splitlines()) <= 6
    output = run([sys.executable, "-c", snippet.replace(WRITTEN_ADDRESS, address)], clone)
    assert "'block2b_add': (1, 56, 56, 24), 'predictions': (1, 1000)" in output
    assert Image.open(clone / "channel.png").size == (56, 56)


def test_javascript(address: str, clone: Path) -> None:
    (snippet,) = snippets("js")
    (clone / "snippet.mjs").write_text(snippet.replace(WRITTEN_ADDRESS, address))
    (clone / "node_modules").mkdir()
    (clone / "node_modules" / "layerscope-client").symlink_to(ROOT / "clients" / "js")
    output = run([str(Path(sys.executable).with_name("node")), "snippet.mjs"], clone)
    assert "block2b_add [ 1, 56, 56, 24 ]" in output
    assert Image.open(clone / "channel.png").size == (56, 56)


def test_make_targets_exist() -> None:
    targets = re.findall(r"^make (\w+)", "\n".join(snippets("sh")), re.MULTILINE)
    assert targets == ["run", "test"]
    for target in targets:
        run(["make", "--dry-run", target], ROOT)


def test_the_declaration_is_valid(tmp_path: Path) -> None:
    (declaration,) = snippets("json")
    (tmp_path / "layerscope.json").write_text(declaration)
    manifest = Manifest.read(tmp_path)
    assert manifest.preprocessing_of("input") is not None
    assert manifest.classes == ("cat", "dog")


def test_serve_takes_a_models_directory() -> None:
    (command,) = [
        line
        for block in snippets("sh")
        for line in block.splitlines()
        if line.startswith(".venv/bin/layerscope ")
    ]
    options = run([sys.executable, "-m", "layerscope_api", "serve", "--help"], ROOT)
    assert re.findall(r"--\w+", command) == ["--models"]
    assert "--models" in options


def test_extras_exist() -> None:
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    for extra in re.findall(r"layerscope\[(\w+)\]", README):
        assert re.search(rf"^{extra} = ", project, re.MULTILINE)
