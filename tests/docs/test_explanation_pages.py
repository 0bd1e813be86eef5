"""The pages on attributions and pictures: their commands and snippets run, and name what the code knows."""

import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
from PIL import Image

from layerscope.attribution import METHODS
from layerscope.attribution.targets import Form
from layerscope.render import PictureOptions

ROOT = Path(__file__).parents[2]
ATTRIBUTIONS, PICTURES = (
    (ROOT / "docs" / "how-to" / f"{name}.md").read_text("utf-8") for name in ("attributions", "pictures")
)


def snippets(page: str, language: str, address: str) -> list[str]:
    found = re.findall(rf"^```{language}\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    return [each.replace("http://127.0.0.1:8000", address) for each in found]


def test_the_command_draws_a_heat_map(address: str, tmp_path: Path) -> None:
    (command,) = snippets(ATTRIBUTIONS, "sh", address)
    picture = tmp_path / "why.png"
    command = command.replace("curl ", "curl -sSf ").replace("why.png", str(picture))
    subprocess.run(["bash", "-c", command], cwd=ROOT, check=True, timeout=60)
    said = Image.open(picture).text  # type: ignore[attr-defined]
    assert (said["method"], said["layer"]) == ("gradcam", "conv3")


def printed(page: str, address: str) -> str:
    code = "\n".join(snippets(page, "python", address))
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_python_of_attributions(address: str) -> None:
    first, *progress = printed(ATTRIBUTIONS, address).splitlines()
    assert re.fullmatch(r"\(1, 28, 28\) (0\.99\d*|1\.0) logits", first)
    assert progress[-1] == "49 of 49"


def test_the_python_of_pictures(address: str) -> None:
    lowest, highest, layer, digest = printed(PICTURES, address).split()
    assert float(lowest) < float(highest)
    assert (layer, digest[:7]) == ("conv1", "sha256-")


@pytest.mark.parametrize("name", [*METHODS, *get_args(Form)])
def test_every_method_and_score_is_explained(name: str) -> None:
    assert f"`{name}`" in ATTRIBUTIONS


def test_the_table_says_of_each_method_what_the_code_does() -> None:
    rows = dict(re.findall(r"^\| `([a-z+-]+)` \| (\w+ \| [\w ]+?) \|", ATTRIBUTIONS, re.MULTILINE))
    assert rows.keys() == METHODS.keys()
    for name, row in rows.items():
        place, negative = row.split(" | ")
        assert (place, negative != "none") == (METHODS[name].kind, METHODS[name].is_signed)


@pytest.mark.parametrize("name", ["normalize", "range", "percentile", "centered", "scale", "colorbar"])
def test_what_colours_mean_is_explained(name: str) -> None:
    assert name in PictureOptions.__slots__
    assert re.search(rf"`{name}\b", PICTURES)
