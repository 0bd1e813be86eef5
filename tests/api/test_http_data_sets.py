"""Data sets are registered once, listed in pages, and their images stand wherever an image is named."""

import io
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from answers_read import npy
from PIL import Image
from pyarrow import parquet
from requests_made import ACTIVATIONS, FEATURE_MAP, JSON, PNG, PREDICTIONS
from starlette.testclient import TestClient

from digit_images import write_digits
from layerscope import demo
from layerscope.limits import Limits
from layerscope_api.context.api_keys import KeyFile, KeyScope
from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app

NAMES = sorted(demo.samples())
SAMPLES = {name: path.read_bytes() for name, path in demo.samples().items()}
PIXELS = "/v1/models/digits/activations?layers=conv1&format=npy"


@dataclass(frozen=True)
class Served:
    """A service that keeps data sets, called with a key that may register them."""

    http: TestClient
    photos: Path
    catalog: Path
    settings: Settings
    reader: str

    def register(self, name: str, data: str, **more: str) -> Any:
        return self.http.post("/v1/datasets", json={"name": name, "data": data, **more})

    def get(self, path: str, **more: Any) -> Any:
        return self.http.get(path, **more)

    def rows(self, name: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.get(f"/v1/datasets/{name}/rows").json()["rows"]
        return rows


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("data_sets")
    photos = write_digits(folder / "photos")
    for place, name in enumerate(NAMES):
        label = photos / "by_label" / ("odd" if place % 2 else "even")
        label.mkdir(parents=True, exist_ok=True)
        (label / f"{name}.png").write_bytes(SAMPLES[name])
    keys = KeyFile(folder / "keys.json")
    _, token = keys.create("all", [KeyScope.INFER, KeyScope.DATASETS_WRITE])
    _, reader = keys.create("reader", [KeyScope.INFER])
    settings = Settings(
        models=None,
        places={"photos": str(photos)},
        datasets=folder / "catalog",
        api_keys=folder / "keys.json",
        limits=Limits(
            data_sets=12, data_set_images=20, data_set_labels=5, label_table_bytes=2_000, page_rows=7
        ),
    )
    with TestClient(create_app(settings), headers={"Authorization": f"Bearer {token}"}) as http:
        yield Served(http, photos, folder / "catalog", settings, reader)


@pytest.fixture
def val(served: Served) -> Iterator[str]:
    """A data set of ten digits, `dataset:val/0` is `eight.png`."""
    assert served.register("val", "photos:*.png").status_code == 201
    yield "val"
    served.http.delete("/v1/datasets/val")


@pytest.fixture
def folder(served: Served, request: pytest.FixtureRequest) -> Iterator[Path]:
    """An empty folder of the place, for one test."""
    made = served.photos / "made"
    made.mkdir()
    yield made
    shutil.rmtree(made)
    for each in served.get("/v1/datasets").json()["datasets"]:
        if each["data"].startswith("photos:made"):
            served.http.delete(f"/v1/datasets/{each['name']}")


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json().get("code", "")


def test_a_data_set_is_registered_once_listed_and_forgotten(served: Served) -> None:
    made = served.register("digits.1", "photos:by_label/", labels="folders")
    assert (made.status_code, made.headers["location"]) == (201, "/v1/datasets/digits.1")
    body = made.json()
    assert body["label_counts"] == [{"label": "even", "images": 5}, {"label": "odd", "images": 5}]
    assert (body["images"], body["unlabelled"]) == (10, 0)
    assert body["bytes"] == sum(map(len, SAMPLES.values()))
    assert served.get("/v1/datasets/digits.1").json() == body
    again = served.register("digits.1", "photos:by_label/", labels="folders")
    assert (again.status_code, again.json()) == (200, body)
    other = served.register("digits.1", "photos:by_label/")
    assert code(other) == (409, "data_set_exists")
    assert served.get("/v1/datasets/digits.1").json() == body
    pages = [served.get(f"/v1/datasets/digits.1/rows?start={start}&limit=6").json() for start in (0, 6)]
    first, second = pages
    assert (first["next"], second["next"], second["total"]) == (6, None, 10)
    rows = [*first["rows"], *second["rows"]]
    assert [row["number"] for row in rows] == list(range(10))
    assert [row["image"] for row in rows] == [f"dataset:digits.1/{number}" for number in range(10)]
    assert all(row["label"] == row["path"].split("/")[0] for row in rows)
    assert all(row["bytes"] == len(SAMPLES[Path(row["path"]).stem]) for row in rows)
    assert served.get("/v1/datasets/digits.1/rows?start=10").json()["rows"] == []
    assert code(served.get("/v1/datasets/digits.1/rows?limit=8")) == (413, "too_many")
    assert served.http.delete("/v1/datasets/digits.1").status_code == 204
    gone = [
        served.get("/v1/datasets/digits.1"),
        served.get("/v1/datasets/digits.1/rows"),
        served.get(f"{PREDICTIONS}?image=dataset:digits.1/0"),
        served.http.delete("/v1/datasets/digits.1"),
    ]
    assert {code(answer) for answer in gone} == {(404, "data_set_not_found")}
    assert (served.photos / "by_label" / "odd").is_dir()
    assert list(served.catalog.iterdir()) == []


def test_pages_of_data_sets(served: Served, val: str) -> None:
    for name in ("a", "b"):
        served.register(name, "photos:one.png*")
    first = served.get("/v1/datasets?limit=2").json()
    second = served.get(f"/v1/datasets?limit=2&start={first['next']}").json()
    assert [each["name"] for each in first["datasets"] + second["datasets"]] == ["a", "b", val]
    assert (first["total"], second["next"]) == (3, None)
    for name in ("a", "b"):
        served.http.delete(f"/v1/datasets/{name}")


@pytest.mark.parametrize(
    "path",
    [
        f"{ACTIVATIONS}?layers=conv1&format=npy",
        f"{FEATURE_MAP}?layer=conv1",
        f"{PREDICTIONS}?top=3",
        "/v1/models/digits/statistics?layers=conv1",
        "/v1/models/digits/overlay.png?layer=conv1&channel=0",
        "/v1/models/digits/attributions/saliency?target=7&format=npy",
        "/v1/models/digits/interventions?edit=conv1;channels=0;set=0",
        "/v1/models/digits/ablations?layer=conv2&format=npy",
        "/v1/models/digits/inspect?layers=conv1",
        "/v1/models/digits/plan?layers=conv1",
        "/v1/models/digits/compare?layers=conv1",
        "/v1/compare?reference=digits&candidate=digits&edit=conv1;channels=0;set=0",
    ],
)
def test_an_image_of_a_data_set_stands_for_the_image_sent(served: Served, val: str, path: str) -> None:
    numbers = [0, 1] if path.startswith("/v1/models/digits/compare") else [3]
    sent = []
    for number in numbers:
        stored = served.http.post("/v1/images", content=SAMPLES[NAMES[number]], headers=PNG)
        sent.append(stored.json()["id"])
    names = [f"dataset:{val}/{number}" for number in numbers]
    for by_id, by_name in (
        [served.http.post(path, json={"images": [{"id": each} for each in ids]}) for ids in (sent, names)],
        [served.get("&".join([path, *(f"image={each}" for each in ids)])) for ids in (sent, names)],
    ):
        assert by_id.status_code == by_name.status_code, by_name.text
        if by_id.status_code == 200 and "json" in by_id.headers["content-type"]:
            untimed = [{**each.json(), "timings": None} for each in (by_id, by_name)]
            assert untimed[0] == untimed[1]
        elif by_id.status_code == 200:
            assert by_id.content == by_name.content


def test_images_of_data_sets_are_patched_in(served: Served, val: str) -> None:
    stored = served.http.post("/v1/images", content=SAMPLES[NAMES[4]], headers=PNG).json()["id"]
    answers = [
        served.get(f"{PIXELS}&image=dataset:{val}/3&edit=conv1;channels=0;patch={each}")
        for each in (stored, f"dataset:{val}/4")
    ]
    assert answers[0].status_code == 200, answers[0].text
    assert answers[0].content == answers[1].content
    assert answers[0].content != served.get(f"{PIXELS}&image=dataset:{val}/3").content


def test_a_tensor_of_a_data_set_is_fed_as_it_is(served: Served, folder: Path) -> None:
    np.save(folder / "values.npy", values := np.random.default_rng(0).random((3, 28, 28, 1), np.float32))
    assert served.register("tensors", "photos:made/values.npy").json()["images"] == 3
    found = served.get(f"{PIXELS}&image=dataset:tensors/2")
    sent = served.http.post(PIXELS, content=npy(values[2]), headers={"Content-Type": "application/x-npy"})
    assert found.content == sent.content
    row = served.get("/v1/datasets/tensors/rows/2").json()
    assert (row["shape"], row["width"], row["format"]) == ([28, 28, 1], None, "tensor")
    assert code(served.get("/v1/datasets/tensors/rows/2/thumbnail.png")) == (422, "no_picture")


def test_thumbnails_are_small_and_validated(served: Served, val: str) -> None:
    path = f"/v1/datasets/{val}/rows/5/thumbnail.png"
    answer = served.get(f"{path}?side=14")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    assert Image.open(io.BytesIO(answer.content)).size == (14, 14)
    etag = {"If-None-Match": answer.headers["etag"]}
    assert served.get(f"{path}?side=14", headers=etag).status_code == 304
    assert served.get(f"{path}?side=15", headers=etag).status_code == 200
    assert code(served.get(f"{path}?side=5000")) == (422, "option_invalid")
    assert code(served.get(f"/v1/datasets/{val}/rows/10/thumbnail.png")) == (404, "data_set_not_found")


def test_a_copy_is_valid_as_long_as_the_name_means_the_same_images(served: Served, folder: Path) -> None:
    (folder / "a.png").write_bytes(SAMPLES["one"])
    served.register("same", "photos:made/")
    path = "/v1/models/digits@1/predictions?image=dataset:same/0"
    patched = f"{path}&edit=conv1;channels=0;patch=dataset:same/0"
    answers = {each: served.get(each) for each in (path, patched)}
    for each, answer in answers.items():
        # The name may mean others tomorrow, also for an exact version.
        assert answer.headers["cache-control"] == "private, no-cache"
        assert served.get(each, headers={"If-None-Match": answer.headers["etag"]}).status_code == 304
    served.http.delete("/v1/datasets/same")
    (folder / "a.png").write_bytes(SAMPLES["two"])
    served.register("same", "photos:made/")
    for each, answer in answers.items():
        now = served.get(each, headers={"If-None-Match": answer.headers["etag"]})
        assert now.status_code == 200
        assert now.json()["images"] != answer.json()["images"]


def test_an_image_that_changed_or_went_is_never_served_as_if_it_were_the_same(
    served: Served, folder: Path
) -> None:
    for name in ("changed", "gone", "same"):
        (folder / f"{name}.png").write_bytes(SAMPLES["one"])
    served.register("moving", "photos:made/")
    (folder / "changed.png").write_bytes(SAMPLES["two"])
    (folder / "gone.png").unlink()
    for number, status in enumerate([409, 409, 200]):
        row = f"/v1/datasets/moving/rows/{number}"
        for path in (f"{PREDICTIONS}?image=dataset:moving/{number}", row, f"{row}/thumbnail.png"):
            answer = served.get(path)
            assert answer.status_code == status
            assert status == 200 or code(answer) == (409, "input_changed")
            assert str(served.photos) not in answer.text
    assert code(served.register("moving", "photos:made/")) == (409, "data_set_exists")


def test_labels_of_a_table(served: Served, folder: Path) -> None:
    for name in ("a", "b", "c,1"):
        (folder / f"{name}.png").write_bytes(SAMPLES["one"])
    table = folder / "labels.csv"
    table.write_text('\ufeffother,Label,path\n1,"cat, small",a.png\n2,,b.png\n3,日本,"c,1.png"\n', "utf-8")
    body = served.register("tabled", "photos:made/", labels="csv:photos:made/labels.csv").json()
    assert body["unlabelled"] == 1
    assert [row["label"] for row in served.rows("tabled")] == ["cat, small", None, "日本"]


def test_labels_of_a_column_beside_the_images(served: Served, folder: Path) -> None:
    columns = {"image": [SAMPLES["one"]] * 3, "kind": ["cat", None, "日本"]}
    parquet.write_table(pa.table(columns), folder / "all.parquet")
    body = served.register("columns", "photos:made/all.parquet", labels="column:kind").json()
    assert (body["labels"], body["unlabelled"]) == ("column:kind", 1)
    assert [row["label"] for row in served.rows("columns")] == ["cat", None, "日本"]
    missing = served.register("missing", "photos:made/all.parquet", labels="column:none")
    assert (code(missing), missing.json()["details"]["columns"]) == ((422, "data_set_unreadable"), [*columns])


@pytest.mark.parametrize(
    ("table", "wanted"),
    [
        ("path,label\nnowhere.png,cat\n", (422, "data_set_unreadable")),
        ("file,class\na.png,cat\n", (422, "data_set_unreadable")),
        ("path,label\na.png,cat\na.png,dog\n", (422, "data_set_unreadable")),
        ("path,label\na.png,cat,more\n", (422, "data_set_unreadable")),
        ('path,label\na.png,"cat\n', (422, "data_set_unreadable")),
        (f"path,label\na.png,{'x' * 201}\n", (422, "data_set_unreadable")),
        ("path,label\n" + "x.png,cat\n" * 300, (413, "too_many")),
        ("path,label\n" + "".join(f"{name}.png,{name}\n" for name in NAMES), (413, "too_many")),
        ("path,label\na.png,\xe9", (422, "data_set_unreadable")),
    ],
    ids=["other paths", "no header", "twice", "long line", "no quote", "long label", "long", "many", "latin"],
)
def test_tables_that_cannot_be_labels_are_refused(
    served: Served, folder: Path, table: str, wanted: tuple[int, str]
) -> None:
    for name in ("a", *NAMES):
        (folder / f"{name}.png").write_bytes(SAMPLES["one"])
    (folder / "labels.csv").write_bytes(table.encode("latin-1"))
    assert code(served.register("refused", "photos:made/", labels="csv:photos:made/labels.csv")) == wanted
    assert code(served.get("/v1/datasets/refused")) == (404, "data_set_not_found")
    assert [path for path in served.catalog.iterdir() if "refused" in path.name] == []


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ({"name": "x", "data": "photos:nowhere/"}, (422, "data_set_unreadable")),
        ({"name": "x", "data": "photos:../"}, (422, "option_invalid")),
        ({"name": "x", "data": "photos:/etc"}, (422, "option_invalid")),
        ({"name": "x", "data": "other:2026/"}, (404, "place_not_found")),
        ({"name": "x", "data": "/etc"}, (422, "option_invalid")),
        ({"name": "x", "data": "file:/etc"}, (404, "place_not_found")),
        ({"name": "../x", "data": "photos:"}, (422, "option_invalid")),
        ({"name": "X", "data": "photos:"}, (422, "option_invalid")),
        ({"name": ".x", "data": "photos:"}, (422, "option_invalid")),
        ({"name": "x" * 65, "data": "photos:"}, (422, "option_invalid")),
        ({"name": "x", "data": "photos:*.png", "labels": "csv:photos:../keys.json"}, (422, "option_invalid")),
        ({"name": "x", "data": "photos:*", "labels": "csv:photos:one.png"}, (422, "data_set_unreadable")),
        ({"name": "x", "data": "photos:*.png", "labels": "csv:photos:"}, (422, "data_set_unreadable")),
        ({"name": "x", "data": "photos:*.png", "labels": "some"}, (422, "option_invalid")),
        ({"name": "x", "data": "photos:*.png", "labels": "column:label"}, (422, "option_invalid")),
        ({"name": "x", "data": "photos:*.png", "more": 1}, (422, "option_invalid")),
        ({"name": "x"}, (422, "option_invalid")),
        ({"name": "x", "data": "photos:"}, (413, "too_many")),
    ],
)
def test_what_is_no_data_set_is_refused(
    served: Served, body: dict[str, Any], wanted: tuple[int, str]
) -> None:
    for number in range(11 if wanted[0] == 413 else 0):
        (served.photos / f"{number}.png").write_bytes(SAMPLES["one"])
    answer = served.http.post("/v1/datasets", json=body)
    assert code(answer) == wanted
    assert str(served.photos) not in answer.text
    for path in served.photos.glob("[0-9]*.png"):
        path.unlink()


def test_names_of_images_that_are_none_are_refused(served: Served, val: str) -> None:
    for name in ("val", "val/-1", "val/01", "../0", "val/x.png"):
        assert code(served.get(f"{PREDICTIONS}?image=dataset:{name}")) == (422, "option_invalid")
    assert code(served.get(f"{PREDICTIONS}?image=dataset:{val}/10")) == (404, "data_set_not_found")


def test_links_out_of_the_place_are_not_followed(served: Served, folder: Path) -> None:
    (served.photos.parent / "secret.png").write_bytes(SAMPLES["one"])
    (folder / "link.png").symlink_to("../../secret.png")
    (folder / "odd \n%2f'\";.png").write_bytes(SAMPLES["two"])
    (folder / "folder").symlink_to("/etc")
    (folder / "list.txt").write_text("../secret.png\nlink.png\n", "utf-8")
    assert served.register("linked", "photos:made/").json()["images"] == 1
    assert served.register("listed", "photos:made/list.txt").json()["bytes"] == 0
    for row in served.rows("listed"):
        assert row["bytes"] is None
        assert code(served.get(f"{PREDICTIONS}?image={row['image']}")) == (409, "input_changed")
    (odd,) = served.rows("linked")
    assert odd["path"] == "odd \n%2f'\";.png"
    assert served.get(f"{PREDICTIONS}?image={odd['image']}").status_code == 200
    # A file that takes the place of another later must not lead out of it either.
    (folder / "odd \n%2f'\";.png").unlink()
    (folder / "odd \n%2f'\";.png").symlink_to("../../secret.png")
    assert code(served.get(f"{PREDICTIONS}?image={odd['image']}")) == (409, "input_changed")
    assert code(served.register("etc", "photos:made/folder")) == (422, "option_invalid")


def test_a_restarted_service_and_others_have_the_same_data_sets(served: Served, val: str) -> None:
    body = served.get(f"/v1/datasets/{val}").json()
    with TestClient(create_app(served.settings), headers=served.http.headers) as other:
        assert other.get(f"/v1/datasets/{val}").json() == body
        made = other.post("/v1/datasets", json={"name": "late", "data": "photos:by_label/"}).json()
        assert served.get("/v1/datasets/late").json() == made
        served.http.delete("/v1/datasets/late")
        assert code(other.get("/v1/datasets/late/rows")) == (404, "data_set_not_found")


def test_reading_needs_a_key_and_registering_another_scope(served: Served, val: str) -> None:
    reader = {"Authorization": f"Bearer {served.reader}"}
    for path in ("", f"/{val}", f"/{val}/rows", f"/{val}/rows/0", f"/{val}/rows/0/thumbnail.png"):
        assert served.get(f"/v1/datasets{path}", headers=reader).status_code == 200
    assert served.get(f"{PREDICTIONS}?image=dataset:{val}/0", headers=reader).status_code == 200
    body = {"name": "mine", "data": "photos:"}
    for refused in (
        served.http.post("/v1/datasets", json=body, headers=reader),
        served.http.delete(f"/v1/datasets/{val}", headers=reader),
    ):
        assert code(refused) == (403, "scope_missing")


def test_there_are_not_more_data_sets_than_may_be(served: Served) -> None:
    made = [served.register(f"many{number}", "photos:one.png*") for number in range(13)]
    assert [answer.status_code for answer in made] == [201] * 12 + [413]
    assert made[-1].json()["details"]["limit"] == 12
    for number in range(12):
        served.http.delete(f"/v1/datasets/many{number}")


def test_a_service_without_a_folder_for_them_has_no_data_sets(http: TestClient) -> None:
    body = b'{"name": "val", "data": "photos:"}'
    answers = [
        http.get("/v1/datasets"),
        http.get("/v1/datasets/val"),
        http.post("/v1/datasets", content=body, headers=JSON),
        http.get(f"{PREDICTIONS}?image=dataset:val/0"),
    ]
    assert {code(answer) for answer in answers} == {(409, "control_refused")}
