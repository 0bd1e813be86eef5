"""The page on CI: its job compares versions of a model, and fails where a layer drifted."""

import re
import shlex
import shutil
import subprocess
import sys
from contextlib import chdir
from pathlib import Path
from xml.etree import ElementTree

import keras
import numpy as np
import pytest
import yaml
from click.testing import Result
from typer.testing import CliRunner

from digit_images import write_digits
from layerscope.demo import MODELS
from layerscope_api.cli.app import app

pytestmark = pytest.mark.wide

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "tutorials" / "ci.md").read_text("utf-8")
COMMAND = next(line for line in TEXT.splitlines() if line.startswith("layerscope compare"))
EXAMPLE = "".join(re.findall(r"```\n(\| layer .*?)```", TEXT, re.DOTALL))

SAME, DRIFTED, BROKEN, SMALLER = 2, 3, 4, 5


def write(directory: Path, version: int, model: keras.Model) -> None:
    shutil.copytree(MODELS / "digits" / "1", directory / "digits" / str(version))
    model.save(directory / "digits" / str(version) / "model.keras")


def demo() -> keras.Model:
    return keras.models.load_model(MODELS / "digits" / "1" / "model.keras")


def write_versions(directory: Path) -> None:
    """Version 1 is the demo model; the others are the same, or had something done to them."""
    write(directory, 1, demo())
    write(directory, SAME, demo())
    drifted, broken = demo(), demo()
    drifted.get_layer("conv2").set_weights([1.1 * each for each in drifted.get_layer("conv2").get_weights()])
    write(directory, DRIFTED, drifted)
    kernel, bias = broken.get_layer("probabilities").get_weights()
    broken.get_layer("probabilities").set_weights([kernel * np.float32(1e38), bias])
    write(directory, BROKEN, broken)
    start = keras.Input((28, 28, 1), name="image")
    conv = keras.layers.Conv2D(3, 3, activation="relu", name="conv1")(start)
    pool = keras.layers.GlobalAveragePooling2D(name="pool")(conv)
    write(
        directory,
        SMALLER,
        keras.Model(start, keras.layers.Dense(10, activation="softmax", name="probabilities")(pool)),
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the page says there is."""
    folder = tmp_path_factory.mktemp("project")
    write_versions(folder / "models")
    write_digits(folder / "images")
    return folder


def arguments(version: int, *options: str) -> list[str]:
    """The command of the page without its first word, for another version."""
    return [*shlex.split(COMMAND.replace("digits/2", f"digits/{version}"))[1:], *options]


def compared(folder: Path, version: int, *options: str) -> Result:
    """What the command of the page says of another version."""
    with chdir(folder):
        return CliRunner().invoke(app, arguments(version, *options))


def test_the_same_is_the_same(folder: Path) -> None:
    done = compared(folder, SAME, "--most", "0")
    assert done.exit_code == 0, done.stderr
    assert done.stdout.count("| same |") == 5
    assert "0 of 5 layers" in done.stdout
    (suite,) = ElementTree.parse(folder / "layers.xml").iter("testsuite")  # noqa: S314 - written just now
    assert (suite.get("tests"), suite.get("failures")) == ("5", "0")


def test_the_first_layer_that_drifted_and_those_behind_it_are_told(folder: Path) -> None:
    program = Path(sys.executable).with_name("layerscope")
    done = subprocess.run(
        [program, *arguments(DRIFTED)], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    shown, printed = ([row.split(" | ") for row in text.splitlines()] for text in (EXAMPLE, done.stdout))
    assert len(shown) == len(printed), done.stdout
    for expected, row in zip(shown, printed, strict=True):
        # Other processors give other last digits.
        assert [cell for number, cell in enumerate(row) if number != 1] == [
            cell for number, cell in enumerate(expected) if number != 1
        ]
        if expected[0].startswith(("| conv", "| dense", "| probabilities")):
            assert float(row[1]) == pytest.approx(float(expected[1]), rel=0.02)


def test_values_that_are_not_finite_any_more_are_told_whatever_may_change(folder: Path) -> None:
    done = compared(folder, BROKEN, "--most", "1000")
    assert done.exit_code == 1, done.stderr
    assert re.search(
        r"\| probabilities \|.*\*\*drifted\*\*, NaN or infinite values in other places", done.stdout
    )
    assert done.stdout.count("| same |") == 4


def test_layers_that_went_or_have_another_shape_are_told(folder: Path) -> None:
    done = compared(folder, SMALLER, "--most", "1000")
    assert done.exit_code == 1, done.stderr
    assert "| conv2 |  |  | **only in the reference** |" in done.stdout
    assert re.search(r"\| conv1 \|  \|  \| \*\*drifted\*\*, \S+ became 26x26x3", done.stdout)


def test_a_model_is_compared_with_its_edited_self(folder: Path) -> None:
    done = compared(folder, 1, "--edit", "conv2;set=0")
    assert done.exit_code == 1, done.stderr
    assert "The change begins in conv2." in done.stdout
    assert done.stdout.count("| same |") == 1


def test_what_cannot_be_compared_is_no_drift(folder: Path) -> None:
    done = compared(folder, 99)
    assert done.exit_code == 2
    assert "digits/99" in done.stderr
    assert not done.stdout


def test_the_job_is_yaml_that_runs_the_same_script() -> None:
    (job,) = [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)]
    steps = [step["run"] for step in job["jobs"]["compare"]["steps"] if "run" in step]
    assert "pipefail" in steps[-1]
    assert COMMAND.partition(" --layers")[0] in steps[-1]
