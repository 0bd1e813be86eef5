"""M13 over HTTP: where the disk is full, models are answered 507 and leave nothing, and images are answered as ever."""

import io
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx2
import keras
import numpy as np
import pytest
from PIL import Image
from requests_made import PNG, SEVEN
from served_process import Process, serving

from layerscope.demo import MODELS
from layerscope_api.context.api_keys import KeyFile, KeyScope
from small_disks import on_small_disk

BINARY = {"Content-Type": "application/octet-stream"}


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Process, httpx2.Client, Path]]:
    """A service whose models, and whose temporary files, are on a disk that has little more room than for the demo's."""
    folder = tmp_path_factory.mktemp("full")
    disk, demo = folder / "disk", folder / "demo"
    disk.mkdir()
    shutil.copytree(MODELS / "digits", demo / "digits")
    _, token = KeyFile(folder / "keys.json").create("full", [KeyScope.INFER, KeyScope.MODELS_WRITE])
    options = ("--models", str(disk), "--api-keys", str(folder / "keys.json"), "--allow-upload")
    within = [*on_small_disk(disk, 500), "sh", "-c", 'cp -r "$1"/* "$2" && shift 2 && exec "$@"', "sh"]
    with serving(*options, within=[*within, str(demo), str(disk)], TMPDIR=str(disk)) as process:
        headers = {"Authorization": f"Bearer {token}"}
        with httpx2.Client(base_url=f"http://127.0.0.1:{process.port}", headers=headers, timeout=60) as http:
            yield process, http, Path(f"/proc/{process.process.pid}/root{disk}")


def tree(disk: Path) -> set[str]:
    return {str(path.relative_to(disk)) for path in disk.rglob("*")}


def other_model(folder: Path) -> bytes:
    model = keras.models.load_model(MODELS / "digits" / "1" / "model.keras")
    model.set_weights([np.negative(weights) for weights in model.get_weights()])
    model.save(folder / "other.keras")
    return (folder / "other.keras").read_bytes()


def test_m13_a_full_disk(full: tuple[Process, httpx2.Client, Path], tmp_path: Path) -> None:
    process, http, disk = full
    before, asked = tree(disk), http.post("/v1/models/digits/predictions", content=SEVEN, headers=PNG)
    assert "digits/1/model.keras" in before
    content = other_model(tmp_path)
    for answer in (
        http.post("/v1/models?name=other", content=content, headers=BINARY),
        http.post("/v1/models", files={"model": ("m.keras", content)}, data={"name": "other"}),
        http.post("/v1/models", files={"model": ("m.keras", content * 20)}, data={"name": "other"}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (507, "storage_full"), answer.text
        assert tree(disk) == before
    again = http.post("/v1/models/digits/predictions", content=SEVEN, headers=PNG)
    assert (again.status_code, again.content) == (200, asked.content)
    assert not any("Traceback" in line for line in process.lines), process.lines


def test_m13_images_do_not_need_the_disk(full: tuple[Process, httpx2.Client, Path]) -> None:
    _, http, disk = full
    before, file = tree(disk), io.BytesIO()
    Image.effect_noise((1_300, 1_300), 80).save(file, "PNG")
    assert file.tell() > 2 * 500_000
    picture = file.getvalue()
    raw = http.post("/v1/models/digits/predictions", content=picture, headers=PNG)
    form = http.post("/v1/models/digits/predictions", files={"image": ("a.png", picture)})
    stored = http.post("/v1/images", files={"image": ("a.png", picture)})
    assert (raw.status_code, form.status_code, stored.status_code) == (200, 200, 201)
    assert form.json()["outputs"] == raw.json()["outputs"]
    assert tree(disk) == before
