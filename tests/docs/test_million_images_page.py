"""The page on a million images: its commands and its code, one after the other, over ten images."""

import re
import shlex
from contextlib import chdir
from pathlib import Path

import pytest
from typer.testing import CliRunner

from clusters import ray_cluster
from digit_images import write_digits
from layerscope_api.cli.app import app

TEXT = (Path(__file__).parents[2] / "docs" / "tutorials" / "million-images.md").read_text("utf-8")
SHELL = [line for block in re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL) for line in block.splitlines()]
CODE = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


def do(command: str) -> str:
    found = CliRunner().invoke(app, shlex.split(command.removeprefix("layerscope ")))
    assert found.exit_code == 0, found.output
    return found.stdout


def test_the_commands_and_the_code_of_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_digits(tmp_path / "photos")
    with chdir(tmp_path):
        trial, *others = (each for each in SHELL if "--on" not in each)
        assert '"total": 2' in do(trial)
        exec(CODE[0], {})  # noqa: S102 - of the page
        assert "two.png" in capsys.readouterr().out
        assert len(others) == 4
        for command in others:
            assert '"done": 10' in do(command)
        exec(CODE[1], {})  # noqa: S102 - of the page
        assert "10 images" in capsys.readouterr().out


@pytest.mark.cluster
def test_the_command_for_processes_goes_on_with_the_job_of_the_one_for_ray(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_digits(tmp_path / "photos")
    processes, ray = (each for each in SHELL if "--on" in each)
    with ray_cluster() as cluster, chdir(tmp_path):
        for name, value in cluster.surroundings.items():
            monkeypatch.setenv(name, value)
        do(f"{ray} --part-images 4")
        part = Path("features/parts/part-00001.parquet")
        content = part.read_bytes()
        part.unlink()
        do(f"{processes} --part-images 4")
        assert part.read_bytes() == content
