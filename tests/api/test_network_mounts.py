"""What the service says at its start about directories on file systems of the network."""

from pathlib import Path

import pytest

from layerscope_api.context.network_mounts import filesystem_type, network_warnings
from layerscope_api.context.settings import Settings

MOUNTS = """overlay / overlay rw,relatime 0 0
server:/models {here}/models nfs4 rw,vers=4.2 0 0
s3fs {here}/my\\040bucket fuse.s3fs rw 0 0
/dev/sdb1 {here}/models/local ext4 rw 0 0
"""


@pytest.fixture
def mounts(tmp_path: Path) -> str:
    for name in ("models/local", "my bucket", "disk"):
        (tmp_path / name).mkdir(parents=True)
    return MOUNTS.format(here=str(tmp_path).replace(" ", "\\040"))


def test_the_innermost_mount_counts(tmp_path: Path, mounts: str) -> None:
    kinds = {"models": "nfs4", "models/local/x": "ext4", "my bucket": "fuse.s3fs", "disk": "overlay"}
    assert {name: filesystem_type(tmp_path / name, mounts) for name in kinds} == kinds
    assert filesystem_type(tmp_path, "") == ""


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"models": "disk", "allow_upload": True, "image_store": "disk"}, []),
        ({"models": "models"}, []),
        ({"models": "models", "allow_upload": True, "control": "poll"}, ["network file system (nfs4)"]),
        (
            {"models": "models", "allow_upload": True},
            ["network file system (nfs4)", "--control poll"],
        ),
        ({"image_store": "models", "jobs": "models"}, []),
        ({"jobs": "my bucket"}, ["FUSE (fuse.s3fs)"]),
        ({"image_store": "my bucket"}, ["FUSE (fuse.s3fs)"]),
    ],
)
def test_only_what_does_not_work_there_is_told(
    tmp_path: Path, mounts: str, settings: dict[str, str], told: list[str]
) -> None:
    paths = {name: tmp_path / settings[name] for name in settings.keys() & {"models", "image_store", "jobs"}}
    said = list(network_warnings(Settings.model_validate({**settings, **paths}), mounts))
    assert len(said) == len(told)
    assert all(part in warning for part, warning in zip(told, said, strict=True))


def test_mounts_of_this_machine_are_read(tmp_path: Path) -> None:
    assert list(network_warnings(Settings(models=tmp_path, allow_upload=True))) == []
