"""M11 over HTTP: every architecture of `keras.applications` is accepted, and answers the same bytes as from the directory."""

import itertools
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import keras
import numpy as np
import pytest
from answers_read import npy
from requests_made import NPY
from served_process import serving

from layerscope.models.architectures import architectures
from layerscope_api.context.api_keys import KeyFile, KeyScope

NOT_READ_BY_KERAS = ("ConvNeXt", "InceptionResNetV2", "MobileNetV3")
"""Keras 3.15 writes legacy files of these that it cannot open again: LayerScale, CustomScaleLayer, and the `+ 3`."""

CASES = [
    (name, suffix)
    for suffix, name in itertools.product((".keras", ".h5"), sorted(architectures()))
    if not (suffix == ".h5" and name.startswith(NOT_READ_BY_KERAS))
]
SIDE = 224
"""Of images for those that take images of any size."""

CHUNK = 1024 * 1024

PATIENT = {
    "LAYERSCOPE_LIMITS__DEADLINE_MILLISECONDS": "900000",
    "LAYERSCOPE_LIMITS__MODEL_OPEN_SECONDS": "900",
    "LAYERSCOPE_LIMITS__MODEL_CHECK_SECONDS": "900",
}
"""How fast the machine is, is not asked here."""


@dataclass(frozen=True)
class Service:
    """One that takes models, and the directory that it has them in."""

    http: httpx2.Client
    models: Path

    def send(self, file: Path, name: str) -> httpx2.Response:
        with file.open("rb") as opened:
            content = iter(lambda: opened.read(CHUNK), b"")
            headers = {"Content-Type": "application/octet-stream"}
            return self.http.post("/v1/models", content=content, headers=headers, params={"name": name})

    def answer(self, model: str, values: np.ndarray) -> bytes:
        address = f"/v1/models/{model}/activations?layers=outputs&format=npy"
        answer = self.http.post(address, content=npy(values), headers=NPY)
        assert answer.status_code == 200, answer.text
        return answer.content


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    (folder / "models").mkdir()
    _, token = KeyFile(folder / "keys.json").create("soak", [KeyScope.INFER, KeyScope.MODELS_WRITE])
    options = ("--models", str(folder / "models"), "--api-keys", str(folder / "keys.json"))
    control = {"LAYERSCOPE_CONTROL": "explicit", "LAYERSCOPE_ALLOW_UPLOAD": "true"}
    with serving(*options, **control, **PATIENT) as process:
        headers = {"Authorization": f"Bearer {token}"}
        with httpx2.Client(
            base_url=f"http://127.0.0.1:{process.port}", headers=headers, timeout=1_800
        ) as http:
            yield Service(http, folder / "models")


@pytest.mark.soak
@pytest.mark.parametrize(("name", "suffix"), CASES)
def test_m11_every_architecture_of_keras_applications(
    service: Service,
    leave_out_measured: Callable[[str, str], None],
    keep_figures: Callable[..., None],
    name: str,
    suffix: str,
) -> None:
    leave_out_measured("M11", f"{name}{suffix}")
    keras.utils.clear_session(free_memory=False)
    model = architectures()[name](weights=None)
    values = np.random.default_rng(0).random(
        (1, *(side or SIDE for side in model.input_shape[1:])), np.float32
    )
    file = service.models / "kept" / "1" / f"model{suffix}"
    file.parent.mkdir(parents=True)
    try:
        model.save(file)
        size, parameters = file.stat().st_size, model.count_params()
        del model
        loaded = service.http.post("/v1/models/kept/load")
        assert loaded.status_code == 200, loaded.text
        expected = service.answer("kept", values)
        service.http.post("/v1/models/kept/unload")
        started = time.perf_counter()
        answer = service.send(file, "sent")
        seconds = time.perf_counter() - started
    finally:
        shutil.rmtree(file.parent)
    assert (answer.status_code, answer.json().get("state")) == (201, "ready"), answer.text
    assert answer.json()["file"]["warnings"] == []
    assert answer.json()["file"]["parameters"] >= parameters
    assert service.answer("sent", values) == expected
    assert service.http.delete(answer.headers["location"]).status_code == 204
    keep_figures("M11", f"{name}{suffix}", megabytes=round(size / 1e6, 1), seconds=round(seconds, 1))
