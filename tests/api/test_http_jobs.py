"""Jobs over HTTP: one service with keys, whose jobs run in processes of their own."""

import asyncio
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
import zarr
from safetensors.numpy import load
from starlette.testclient import TestClient

from digit_images import write_digits
from layerscope.demo import samples
from layerscope_api.context.api_keys import KeyFile, KeyScope
from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app
from layerscope_client import AsyncClient, Client, errors
from waiting import wait_for

JOBS = "/v1/jobs"
ASKED: dict[str, Any] = {
    "model": "digits",
    "layers": ["dense"],
    "data": "dataset:few",
    "to": "features:few",
    "part_images": 4,
}


@dataclass
class Served:
    """A running service, its folders, and a key of each scope."""

    http: TestClient
    folder: Path
    tokens: dict[KeyScope, str]

    def send(self, method: str, path: str, scope: KeyScope = KeyScope.INFER, **more: Any) -> Any:
        headers = more.pop("headers", {}) | {"Authorization": f"Bearer {self.tokens[scope]}"}
        return self.http.request(method, path, headers=headers, **more)

    def start(self, **changed: Any) -> Any:
        return self.send("POST", JOBS, KeyScope.JOBS_WRITE, json=ASKED | changed)

    def until(self, job: str, is_there: Callable[[Any], bool]) -> Any:
        """The job when it is as is waited for."""
        return wait_for(lambda: is_there(found := self.send("GET", f"{JOBS}/{job}").json()) and found)

    def ended(self, job: str) -> Any:
        return self.until(job, lambda found: found["state"] not in {"waiting", "running"})


def settings_of(folder: Path) -> Settings:
    return Settings(
        models=None,
        api_keys=folder / "keys.json",
        jobs=folder / "jobs",
        datasets=folder / "datasets",
        places={"photos": str(folder / "photos"), "features": str(folder / "features")},
        writable_places=("features",),
        models_cache=folder / "cache",
        keep_prepared=True,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten digits with a page among them, and two thousand of one digit."""
    folder = tmp_path_factory.mktemp("service")
    (folder / "photos").mkdir()
    (folder / "features").mkdir()
    digits = write_digits(folder / "photos" / "few")
    (digits / "page.png").write_bytes(b"<html>")
    (folder / "photos" / "many").mkdir()
    for number in range(2_000):
        os.link(digits / "seven.png", folder / "photos" / "many" / f"{number:04d}.png")
    return folder


@pytest.fixture(scope="module")
def tokens(folder: Path) -> dict[KeyScope, str]:
    file = KeyFile(folder / "keys.json")
    return {scope: file.create(str(scope), [scope])[1] for scope in KeyScope}


@pytest.fixture(scope="module")
def served(folder: Path, tokens: dict[KeyScope, str]) -> Iterator[Served]:
    with TestClient(create_app(settings_of(folder))) as http:
        served = Served(http, folder, tokens)
        body = {"name": "few", "data": "photos:few"}
        assert served.send("POST", "/v1/datasets", KeyScope.DATASETS_WRITE, json=body).status_code == 201
        (folder / "photos" / "few" / "late.png").write_bytes(samples()["one"].read_bytes())
        yield served


@pytest.fixture(scope="module")
def done(served: Served) -> Any:
    """A job that has ended: ten images, and one that is none."""
    answer = served.start()
    assert answer.status_code == 202
    assert answer.headers["location"] == f"{JOBS}/{answer.json()['id']}"
    return served.ended(answer.json()["id"])


def test_a_job_is_done_and_its_parts_are_those_of_single_requests(served: Served, done: Any) -> None:
    assert (done["state"], done["error"], done["model"]) == ("done", None, "digits@1")
    assert done["progress"] == {"done": 10, "failed": 1, "total": 11, "parts": 3, "parts_total": 3}
    found = {}
    for part in range(3):
        answer = served.send("GET", f"{JOBS}/{done['id']}/parts/{part}")
        found |= dict(zip(paths_of(answer.content), load(answer.content)["dense"], strict=True))
    image = (served.folder / "photos/few/seven.png").read_bytes()
    single = served.send(
        "POST",
        "/v1/models/digits/activations?layers=dense",
        headers={"Content-Type": "image/png"},
        content=image,
    )
    wanted = np.float32(single.json()["layers"][0]["values"][0])
    np.testing.assert_array_equal(found["seven.png"], wanted)
    assert len(found) == 10


def paths_of(part: bytes) -> list[str]:
    """The paths in a safetensors file."""
    length = int.from_bytes(part[:8], "little")
    found: list[str] = json.loads(json.loads(part[8 : 8 + length])["__metadata__"]["paths"])
    return found


def test_what_failed_is_listed_with_its_reason(served: Served, done: Any) -> None:
    failed = served.send("GET", f"{JOBS}/{done['id']}/failed").json()
    assert [(each["path"], each["code"]) for each in failed["failed"]] == [("page.png", "unsupported_image")]
    assert failed["failed"][0]["message"]
    assert failed["next"] is None
    assert served.send("GET", f"{JOBS}/{done['id']}/failed?start=1").json()["failed"] == []


@pytest.mark.parametrize("accept", ["text/event-stream", "application/x-ndjson"])
def test_a_job_is_followed_to_its_end(served: Served, done: Any, accept: str) -> None:
    answer = served.send("GET", f"{JOBS}/{done['id']}", headers={"Accept": accept})
    assert answer.headers["content-type"].startswith(accept)
    last = answer.text.strip().splitlines()[-1].removeprefix("data: ")
    assert done in (json.loads(last), json.loads(last).get("result"))


def test_a_job_is_stopped_and_gone_on_with(served: Served, done: Any) -> None:
    asked = {"data": "photos:many", "to": "features:many", "part_images": 1}
    job = served.start(**asked).json()["id"]
    assert served.start(**asked).json()["id"] == job
    assert served.start(**asked | {"data": "photos:./many/", "to": "features:many//"}).json()["id"] == job
    # Another that writes to the same place is refused while this one is not done.
    for other in ({"reduce": "mean"}, {"runtime": "openvino"}):
        assert served.start(**asked, **other).json()["code"] == "job_differs"
    running = served.until(job, lambda found: found["progress"]["parts"] > 0)
    assert running["state"] == "running"
    assert served.send("DELETE", f"{JOBS}/{job}", KeyScope.JOBS_WRITE).json()["state"] == "stopped"
    parts = served.folder / "features/many/parts"
    there = settled(parts)
    assert 0 < len(there) < 2_000
    kept = (parts / "part-00000.safetensors").stat().st_mtime_ns

    assert served.start(**asked).json()["state"] == "waiting"
    following = served.until(job, lambda found: found["progress"]["parts"] > len(there))
    assert following["progress"]["total"] == 2_000
    assert (parts / "part-00000.safetensors").stat().st_mtime_ns == kept
    served.send("DELETE", f"{JOBS}/{job}", KeyScope.JOBS_WRITE)
    listed = served.send("GET", f"{JOBS}?limit=1").json()
    assert [each["id"] for each in listed["jobs"]] == [job]
    assert (listed["total"], listed["next"]) == (2, 1)
    assert served.send("GET", f"{JOBS}?start=1").json()["jobs"] == [done]


def settled(folder: Path) -> set[str]:
    """The files of a folder when no process adds to them."""
    there: set[str] = set()
    while there != (found := {each.name for each in folder.iterdir() if each.name[0] != "."}):
        there = found
        time.sleep(0.6)
    return there


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"data": "elsewhere:"}, "place_not_found"),
        ({"data": "/etc"}, "option_invalid"),
        ({"data": "photos:../features"}, "option_invalid"),
        ({"data": "http://localhost/photos"}, "place_not_found"),
        ({"to": "photos:features"}, "control_refused"),
        ({"to": "features:a/../../b"}, "option_invalid"),
        ({"model": "nothing"}, "model_not_found"),
        ({"layers": ["nothing"]}, "layer_not_found"),
        ({"layers": []}, "invalid_selector"),
        ({"channels": "top:4"}, "option_invalid"),
        ({"dtype": "uint8"}, "option_invalid"),
        ({"format": "csv"}, "option_invalid"),
        ({"runtime": "jax"}, "option_invalid"),
        ({"part_images": 0}, "option_invalid"),
        ({"max_failed": 101}, "option_invalid"),
        ({"layer": "dense"}, "option_invalid"),
        ({"data": None}, "option_invalid"),
    ],
)
def test_what_cannot_be_done_is_refused_before_it_begins(
    served: Served, changed: dict[str, Any], code: str
) -> None:
    answer = served.start(**changed)
    assert (answer.json()["code"], answer.status_code // 100) == (code, 4)


def test_bodies_that_are_no_job(served: Served) -> None:
    for content, kind, status in (
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b'{"model": "a", "model": "b"}', "application/json", 400),
        (b"x", "text/plain", 415),
        (json.dumps({"layers": ["a"] * 60_000}).encode(), "application/json", 413),
    ):
        headers = {"Content-Type": kind}
        answer = served.send("POST", JOBS, KeyScope.JOBS_WRITE, content=content, headers=headers)
        assert answer.status_code == status, answer.text


def test_each_scope_has_its_routes(served: Served, done: Any) -> None:
    path = f"{JOBS}/{done['id']}"
    assert served.send("POST", JOBS, json=ASKED).json()["code"] == "scope_missing"
    assert served.send("DELETE", path).status_code == 403
    assert served.send("GET", path, KeyScope.JOBS_WRITE).status_code == 403
    assert served.send("DELETE", path, KeyScope.JOBS_WRITE).json() == done


@pytest.mark.parametrize("job", ["0" * 32, "..%2Fkeys", "a.b", "x" * 64])
def test_a_job_that_is_not_there(served: Served, job: str) -> None:
    for path in (f"{JOBS}/{job}", f"{JOBS}/{job}/failed", f"{JOBS}/{job}/parts/0"):
        assert served.send("GET", path).status_code == 404
    assert served.send("DELETE", f"{JOBS}/{job}", KeyScope.JOBS_WRITE).status_code == 404


def test_a_job_whose_place_the_operator_took_away_fails(served: Served, done: Any) -> None:
    store = served.http.app.state.service.jobs  # type: ignore[attr-defined]
    request = store.get(done["id"]).request
    job = served.ended(store.add(replace(request, data="gone:", to="features:gone")).id)
    assert (job["state"], job["error"]["code"]) == ("failed", "place_not_found")
    path = f"{JOBS}/{job['id']}"
    answer = served.send("GET", path, headers={"Accept": "application/x-ndjson"})
    assert json.loads(answer.text)["code"] == "place_not_found"
    assert served.send("GET", f"{path}/failed").json() == {"failed": [], "next": None}


def test_a_part_that_is_not_there(served: Served, done: Any) -> None:
    assert served.send("GET", f"{JOBS}/{done['id']}/parts/3").json()["code"] == "job_not_found"


def test_the_python_client_has_a_result_as_rows_and_as_a_table(served: Served, done: Any) -> None:
    scope = Client(api_key=served.tokens[KeyScope.INFER], http=served.http)
    job = scope.job(done["id"]).wait(bar=True)
    assert (job.state, job.progress["total"]) == ("done", 11)
    assert [each.id for each in scope.jobs()].count(job.id) == 1
    rows = {row["path"]: row for row in job.rows()}
    assert len(rows) == 10
    seven = samples()["seven"]
    wanted = scope.model("digits").activations(seven, "dense")["dense"][0]
    np.testing.assert_array_equal(rows["seven.png"]["dense"], wanted)
    assert rows["seven.png"]["image"] == hashlib.sha256(seven.read_bytes()).hexdigest()
    assert [each["code"] for each in job.failed()] == ["unsupported_image"]
    with pytest.raises(errors.ScopeMissing):
        scope.extract("digits", "dense", data="dataset:few", to="features:few", part_images=4)


def test_the_asynchronous_client_has_the_same(served: Served, done: Any) -> None:
    async def found() -> list[str]:
        transport = httpx2.ASGITransport(served.http.app)
        async with (
            httpx2.AsyncClient(transport=transport, base_url="http://testserver") as http,
            AsyncClient(api_key=served.tokens[KeyScope.INFER], http=http) as scope,
        ):
            job = await (await scope.job(done["id"])).wait()
            assert len(await job.failed()) == 1
            return [row["path"] async for row in job.rows()]

    assert "seven.png" in asyncio.run(found())


def test_a_job_over_a_registered_data_set_has_the_images_that_were_listed(served: Served, done: Any) -> None:
    assert (done["data"], done["progress"]["total"]) == ("dataset:few", 11)
    assert (served.folder / "photos" / "few" / "late.png").is_file()
    answer = served.start(data="dataset:none", to="features:none")
    assert (answer.status_code, answer.json()["code"]) == (404, "data_set_not_found")


@pytest.mark.wide
def test_a_job_takes_the_formats_and_runtimes_of_the_command(served: Served, done: Any) -> None:
    asked = {"to": "features:maps", "format": "zarr", "runtime": "openvino"}
    job = served.ended(served.start(**asked).json()["id"])
    assert (job["state"], job["progress"]["done"], job["error"]) == ("done", 10, None)
    assert asked.items() <= job.items()
    scope = Client(api_key=served.tokens[KeyScope.INFER], http=served.http)
    wanted = {row["path"]: row["dense"] for row in scope.job(done["id"]).rows()}
    result = served.folder / "features" / "maps"
    values = zarr.open_group(result / "maps.zarr", mode="r")["dense"]
    lines = "".join(each.read_text("utf-8") for each in sorted((result / "parts").iterdir())).splitlines()
    assert len(lines) == 10
    for line in map(json.loads, lines):
        np.testing.assert_allclose(values[line["row"]], wanted[line["path"]], atol=1e-4)
    refused = served.send("GET", f"{JOBS}/{job['id']}/parts/0")
    assert (refused.status_code, refused.json()["code"]) == (422, "option_invalid")


def test_a_service_without_a_folder_for_jobs_has_none(http: TestClient) -> None:
    assert http.get(JOBS).json() == {"jobs": [], "total": 0, "next": None}
    assert http.post(JOBS, json=ASKED).json()["code"] == "control_refused"
    assert http.get(f"{JOBS}/{'0' * 32}").status_code == 404
