"""The tutorials: their commands and snippets run, one after the other, and print what the page says."""

import io
import re
import shlex
import subprocess
from contextlib import chdir, redirect_stdout
from pathlib import Path

import keras
import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from layerscope_api.cli.app import app
from served_address import served_address

pytestmark = pytest.mark.wide

ROOT = Path(__file__).parents[2]
TUTORIALS = ROOT / "docs" / "tutorials"


@pytest.fixture(autouse=True)
def _names_as_in_a_new_process() -> None:
    """Keras numbers models without names by what other tests of the process have made."""
    keras.utils.clear_session(free_memory=False)


def blocks(page: str, *languages: str) -> list[str]:
    """The code blocks of a page in these languages."""
    text = (TUTORIALS / page).read_text("utf-8")
    return [
        code
        for language, code in re.findall(r"^```(\w+)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
        if language in languages
    ]


def printed(code: list[str], folder: Path, address: str = "") -> str:
    """What Python prints in a folder, with a service at an address. It runs here: TensorFlow is imported already."""
    program = "\n".join(code).replace("http://127.0.0.1:8000", address)
    with chdir(folder), redirect_stdout(io.StringIO()) as output:
        exec(program, {"__name__": "__main__"})  # noqa: S102 - what the pages say is tested
    return output.getvalue()


def command_line(command: str, folder: Path) -> list[str]:
    """The lines that a command of the program prints in a folder."""
    program, *arguments = shlex.split(command)
    assert program == "layerscope"
    with chdir(folder):
        done = CliRunner(env={"COLUMNS": "80"}).invoke(app, arguments)
    assert done.exit_code == 0, done.stderr
    return [line.rstrip() for line in done.stdout.splitlines()]


def shown_behind(page: str, command: str) -> str:
    """The output that a page shows behind a command."""
    text = (TUTORIALS / page).read_text("utf-8")
    return text.partition(command)[2].split("```\n")[2]


def clone(folder: Path) -> Path:
    """A folder that has what the snippets read, and takes what they write."""
    (folder / "service").symlink_to(ROOT / "service")
    return folder


def test_a_first_look(address: str, tmp_path: Path) -> None:
    page, folder = "first-look.md", clone(tmp_path)
    assert printed(blocks(page, "python"), folder, address) == "".join(blocks(page, "text"))
    sizes = {"conv1.png": (924, 228), "why.png": (224, 224)}
    for command, (name, size) in zip(blocks(page, "sh"), sizes.items(), strict=True):
        asked = command.replace("http://127.0.0.1:8000", address).replace("curl ", "curl -sSf ")
        subprocess.run(["bash", "-c", asked], cwd=folder, timeout=60, check=True)
        assert Image.open(folder / name).size == size


def test_a_model_in_memory(tmp_path: Path) -> None:
    first, _, rest = printed(blocks("live-model.md", "python"), tmp_path).partition("\n")
    assert re.fullmatch(r"Layerscope shows before, after at http://127\.0\.0\.1:\d+/ui/", first)
    assert rest == "".join(blocks("live-model.md", "text"))


def test_a_model_of_ones_own(tmp_path: Path) -> None:
    page, folder = "own-model.md", clone(tmp_path)
    *saving, asking = blocks(page, "python")
    assert printed(saving, folder) == ""
    check, layers = blocks(page, "sh")
    said = command_line(check, folder)
    assert [line for line in shown_behind(page, check).splitlines() if line not in said] == []
    rows = [line.split() for line in command_line(layers, folder)]
    assert rows == [line.split() for line in shown_behind(page, layers).splitlines()]
    with served_address("--models", str(folder / "models")) as address:
        assert printed([asking], folder, address) == "".join(blocks(page, "text"))


def test_where_in_an_ecg(tmp_path: Path) -> None:
    page = "ecg.md"
    *saving, asking, drawing = blocks(page, "python")
    assert printed(saving, tmp_path) == ""
    with served_address("--models", str(tmp_path / "models")) as address:
        asked = printed([saving[0], asking, drawing], tmp_path, address)
    assert asked == "".join(blocks(page, "text"))
    assert Image.open(tmp_path / "why.png").size == (400, 168)


def test_watching_a_model(tmp_path: Path) -> None:
    page, folder = "watch.md", clone(tmp_path)
    (command,) = blocks(page, "sh")
    variable, _, *options = shlex.split(command)
    with served_address(*options[1:], environment=dict([variable.split("=")])) as address:
        assert printed(blocks(page, "python"), folder, address) == "".join(blocks(page, "text"))
    (rule,) = yaml.safe_load(*blocks(page, "yaml"))
    alerts = yaml.safe_load((ROOT / "docker" / "prometheus" / "alerts.yml").read_text("utf-8"))
    (kept,) = (
        each for group in alerts["groups"] for each in group["rules"] if each["alert"] == rule["alert"]
    )
    assert kept | rule == kept


def test_every_tutorial_is_run() -> None:
    tests = "".join(file.read_text("utf-8") for file in Path(__file__).parent.glob("test_*.py"))
    assert [page.name for page in TUTORIALS.glob("*.md") if f'"{page.name}"' not in tests] == []
