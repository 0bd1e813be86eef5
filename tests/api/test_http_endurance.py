"""R05 to R07: nothing fails and nothing grows: whatever the sizes of images, however models come and go, and who asks."""

import asyncio
import io
import itertools
import shutil
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import keras
import numpy as np
import pytest
from PIL import Image
from served_process import serving

from layerscope.demo import MODELS
from layerscope_api.context.api_keys import KeyFile, KeyScope

SIZES = 500
REQUESTS = 20_000
CHUNK = 1_000
CALLERS = 4
CYCLES = 50
OVERLOAD = 160
PERIOD_SECONDS = 10
SMALL = {
    "LAYERSCOPE_LIMITS__ACTIVATION_CACHE_BYTES": "1000000",
    "LAYERSCOPE_LIMITS__IMAGE_STORE_BYTES": "1000000",
}
"""Filling a cache must not be taken for growth."""


def write_model(path: Path) -> None:
    image = keras.Input((None, None, 3))
    maps = keras.layers.Conv2D(8, 3, activation="relu", name="conv")(image)
    keras.Model(image, keras.layers.GlobalAveragePooling2D()(maps)).save(path)


def picture(number: int) -> bytes:
    file = io.BytesIO()
    size = (16 + number % 100, 16 + number // 100 % 5 * 20)
    Image.new("RGB", size, (number % 251, number % 241, number % 239)).save(file, "PNG")
    return file.getvalue()


class Replaced:
    """A directory of a model whose versions answer in turns in one of two ways."""

    def __init__(self, folder: Path) -> None:
        model = keras.models.load_model(MODELS / "digits" / "1" / "model.keras")
        files = [folder / "one.keras", folder / "other.keras"]
        for file in files:
            model.save(file)
            model.set_weights([-weights for weights in model.get_weights()])
        self._files = itertools.cycle(files)
        self._versions = folder / "models" / "busy"

    def place(self, version: int) -> None:
        folder = self._versions / str(version)
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(next(self._files), folder / "new")
        (folder / "new").replace(folder / "model.keras")


def ask_five_times_a_second(
    http: httpx2.Client, ends: float, answers: Counter[tuple[int, str, bytes]]
) -> None:
    due = time.monotonic()
    while due < ends:
        answer = http.post("/v1/models/busy@stable/activations?layers=outputs&format=npy", content=picture(0))
        answers[answer.status_code, answer.headers.get("x-model-digest", ""), answer.content] += 1
        due += 0.2
        time.sleep(max(0.0, due - time.monotonic()))


@pytest.mark.soak
def test_r05_replaced_and_unloaded_under_50_requests_a_second(
    tmp_path: Path, keep_figures: Callable[..., None]
) -> None:
    replaced = Replaced(tmp_path)
    replaced.place(1)
    _, token = KeyFile(tmp_path / "keys.json").create("endurance", [KeyScope.INFER, KeyScope.MODELS_WRITE])
    options = ("--models", str(tmp_path / "models"), "--api-keys", str(tmp_path / "keys.json"))
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "image/png"}
    control = {"LAYERSCOPE_CONTROL": "explicit", "LAYERSCOPE_LOAD": '["busy"]'}
    answers: Counter[tuple[int, str, bytes]] = Counter()
    with serving(*options, **control, **SMALL) as service, ThreadPoolExecutor(10) as callers:
        http = httpx2.Client(base_url=f"http://127.0.0.1:{service.port}", headers=headers, timeout=60)
        assert http.put("/v1/models/busy@1/labels/stable").is_success
        ends = time.monotonic() + 60
        asking = [callers.submit(ask_five_times_a_second, http, ends, answers) for _ in range(10)]
        version = 1
        while time.monotonic() < ends:
            replaced.place(version)
            assert http.post(f"/v1/models/busy@{version}/load").is_success
            replaced.place(version + 1)
            assert http.post(f"/v1/models/busy@{version + 1}/load").is_success
            assert http.put(f"/v1/models/busy@{version + 1}/labels/stable").is_success
            assert http.post(f"/v1/models/busy@{version}/unload").is_success
            version += 1
        for each in asking:
            each.result()
    assert {status for status, _, _ in answers} == {200}
    digests = {digest for _, digest, _ in answers}
    assert len(digests) == len(answers) == len({content for _, _, content in answers}) == 2
    changes = {"replaced": version - 1, "unloaded": version - 1}
    keep_figures("R05", "a minute", answered_a_second=round(answers.total() / 60), **changes)


@pytest.mark.soak
def test_r06_many_sizes(tmp_path: Path, keep_figures: Callable[..., None]) -> None:
    (tmp_path / "models").mkdir()
    write_model(tmp_path / "models" / "free.keras")
    _, token = KeyFile(tmp_path / "keys.json").create("endurance", [KeyScope.INFER])
    options = ("--models", str(tmp_path / "models"), "--api-keys", str(tmp_path / "keys.json"))
    with serving(*options, **SMALL) as service, ThreadPoolExecutor(CALLERS) as callers:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "image/png"}
        http = httpx2.Client(base_url=f"http://127.0.0.1:{service.port}", headers=headers, timeout=60)

        def ask(number: int) -> int:
            return http.post("/v1/models/free/activations", content=picture(number)).status_code

        megabytes = []
        numbers = iter(range(REQUESTS))
        for _ in range(REQUESTS // CHUNK):
            statuses = set(callers.map(ask, itertools.islice(numbers, CHUNK)))
            assert statuses == {200}
            megabytes.append(service.resident_bytes() / 1e6)
    half = megabytes[len(megabytes) // 2 :]
    slope = float(np.polyfit(range(len(half)), half, 1)[0])
    assert slope < 1, megabytes
    keep_figures("R06", f"{REQUESTS:,} requests over {SIZES} sizes", megabytes_per_thousand=round(slope, 2))


@pytest.mark.soak
def test_r06_models_that_come_and_go(tmp_path: Path, keep_figures: Callable[..., None]) -> None:
    demo = MODELS / "digits" / "1" / "model.keras"
    for name in ("stays", "goes"):
        (tmp_path / "models" / name / "1").mkdir(parents=True)
        shutil.copy(demo, tmp_path / "models" / name / "1")
    _, token = KeyFile(tmp_path / "keys.json").create("endurance", [KeyScope.INFER, KeyScope.MODELS_WRITE])
    options = ("--models", str(tmp_path / "models"), "--api-keys", str(tmp_path / "keys.json"))
    control = {"LAYERSCOPE_CONTROL": "explicit", "LAYERSCOPE_LOAD": '["stays"]'}
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "image/png"}
    with serving(*options, **control, **SMALL) as service:
        http = httpx2.Client(base_url=f"http://127.0.0.1:{service.port}", headers=headers, timeout=60)
        megabytes, answers = [], set()
        for number in range(CYCLES):
            assert http.post("/v1/models/goes/load").is_success
            answers.add(http.post("/v1/models/goes/predictions", content=picture(number % 1)).content)
            assert http.post("/v1/models/goes/unload").is_success
            megabytes.append(service.resident_bytes() / 1e6)
    grown = megabytes[-1] - megabytes[9]
    assert len(answers) == 1
    assert grown < 50, megabytes
    keep_figures(
        "R06", f"{CYCLES} times loading and unloading", megabytes_grown_after_the_tenth=round(grown, 1)
    )


@pytest.mark.soak
def test_r07_ten_times_too_much_for_a_minute(keep_figures: Callable[..., None]) -> None:
    async def caller(http: httpx2.AsyncClient, until: float, statuses: Counter[int], number: int) -> None:
        while time.monotonic() < until:
            answer = await http.post("/v1/models/digits/predictions", content=picture(number))
            statuses[answer.status_code] += 1
            number += OVERLOAD

    async def overload(port: int) -> Counter[int]:
        statuses: Counter[int] = Counter()
        limits = httpx2.Limits(max_connections=None)
        headers = {"Content-Type": "image/png"}
        until = time.monotonic() + PERIOD_SECONDS
        async with httpx2.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=60, limits=limits
        ) as http:
            await asyncio.gather(*(caller(http, until, statuses, number) for number in range(OVERLOAD)))
        return statuses

    room = {"LAYERSCOPE_LIMITS__PENDING_REQUESTS": str(OVERLOAD // 10)}
    with serving(**room, **SMALL) as service:
        periods, megabytes = [], []
        for _ in range(60 // PERIOD_SECONDS):
            periods.append(asyncio.run(overload(service.port)))
            megabytes.append(service.resident_bytes() / 1e6)
        assert service.ask("GET", "/v2/health/ready")[0] == 200
    statuses = sum(periods, Counter[int]())
    answered = [each[200] for each in periods]
    assert statuses.keys() <= {200, 429, 503, 504}
    assert statuses[429] > 0
    assert sum(answered[3:]) > sum(answered[:3]) / 2
    assert megabytes[-1] - megabytes[0] < 50, megabytes
    keep_figures(
        "R07",
        f"{OVERLOAD} callers where {OVERLOAD // 10} may wait",
        answered_in_the_first_ten_seconds=answered[0],
        answered_in_the_last_ten_seconds=answered[-1],
        refused=statuses[429],
        megabytes_grown=round(megabytes[-1] - megabytes[0], 1),
    )
