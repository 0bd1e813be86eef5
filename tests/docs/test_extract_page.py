"""The page on features of many images: its commands, and the table they give."""

import re
import shlex
from contextlib import chdir
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from pyarrow import parquet
from typer.testing import CliRunner

from clusters import dask_cluster, ray_cluster
from digit_images import write_digits
from layerscope_api.cli.app import app

TEXT = (Path(__file__).parents[2] / "docs" / "how-to" / "extract.md").read_text("utf-8")
COMMANDS = re.findall(r"^layerscope (extract .*)$", TEXT, re.MULTILINE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_digits(tmp_path / "photos")
    return tmp_path


def test_the_commands_of_the_page_do_what_it_says(folder: Path) -> None:
    first, bucket, *others = COMMANDS
    shares = [each for each in others if "--share" in each]
    assert len(shares) == 2
    MemoryFileSystem().put(f"{folder}/photos/", "/photos/2026", recursive=True)
    command = shlex.split(bucket.replace("s3://", "memory://"))
    assert CliRunner().invoke(app, command).exit_code == 0
    assert MemoryFileSystem().exists("/features/2026/parts/part-00000.safetensors")
    MemoryFileSystem.store.clear()
    with chdir(folder):
        assert CliRunner().invoke(app, shlex.split(first)).exit_code == 0
        table = parquet.read_table("features/parts")
        assert table.column_names == ["path", "image", "conv1", "conv2", "conv3", "dense"]
        assert table.num_rows == 10
        assert [len(table[name][0].as_py()) for name in ("conv1", "dense")] == [16, 32]
        for share in shares:
            command = re.sub(r"\$\w+", "0", share).replace("features", "shares")
            assert CliRunner().invoke(app, shlex.split(command)).exit_code == 0
        assert CliRunner().invoke(app, ["extract", "status", "shares"]).exit_code == 0
    known = {path.relative_to(folder / "features").as_posix() for path in (folder / "features").rglob("*.*")}
    assert known == {"job.json", "manifest.jsonl", "parts/part-00000.parquet"}


def go_on(command: str) -> bytes:
    """The content of a part that a command does anew."""
    part = Path("features/parts/part-00001.safetensors")
    part.unlink(missing_ok=True)
    found = CliRunner().invoke(app, shlex.split(f"{command} --part-images 4"))
    assert found.exit_code == 0, found.output
    assert '"parts": 3' in found.stdout
    return part.read_bytes()


@pytest.mark.cluster
def test_the_commands_for_clusters_go_on_with_one_job(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_ray, _, on_dask = [each for each in COMMANDS if "--on" in each]
    with ray_cluster() as ray, dask_cluster(folder / "dask") as dask, chdir(folder):
        for name, value in ray.surroundings.items():
            monkeypatch.setenv(name, value)
        assert go_on(on_ray) == go_on(on_dask.replace("dask://scheduler:8786", dask.on))


@pytest.mark.cluster
@pytest.mark.soak
def test_the_command_for_a_machine_outside_goes_on_with_the_job(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the soak, because Ray's server for machines outside fails at times: ray-project/ray#63202."""
    on_ray, outside, _ = [each for each in COMMANDS if "--on" in each]
    with ray_cluster() as ray, chdir(folder):
        for name, value in ray.surroundings.items():
            monkeypatch.setenv(name, value)
        assert go_on(on_ray) == go_on(outside.replace("ray://head:10001", ray.surroundings["RAY_CLIENT"]))
