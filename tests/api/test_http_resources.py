"""Models, layers, graphs, stored images, and what the service says of itself."""

import dataclasses
import io
from datetime import UTC, datetime, timedelta
from importlib.metadata import version

import keras
import numpy as np
import pytest
from PIL import Image
from requests_made import PNG, SEVEN, SEVEN_ID
from served_models import WIRINGS, Gallery
from starlette.testclient import TestClient

from layerscope import __version__
from layerscope.limits import Limits


def picture(seed: int) -> bytes:
    """A picture nobody stored before."""
    file = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (300, 200, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def test_the_list_of_models_has_versions_labels_and_reasons(gallery: Gallery) -> None:
    rows = {row["name"]: row for row in gallery.http.get("/v1/models").json()["models"]}

    assert rows.keys() == {*gallery.examples, "broken"}
    nested = rows["nested"]
    assert [(each["version"], each["state"]) for each in nested["versions"]] == [(1, "ready"), (2, "ready")]
    assert nested["labels"] == {"stable": 1}
    (broken,) = rows["broken"]["versions"]
    assert (broken["state"], broken["digest"], broken["inputs"]) == ("failed", None, None)
    assert len(broken["reason"]) > 20
    (pair,) = rows["pair"]["versions"]
    assert [each["name"] for each in pair["inputs"]] == ["left", "right"]


@pytest.mark.parametrize(
    ("reference", "number", "labels"),
    [("nested", 2, []), ("nested@1", 1, ["stable"]), ("nested@stable", 1, ["stable"]), ("nested@2", 2, [])],
)
def test_a_model_is_named_by_version_or_label(
    gallery: Gallery, reference: str, number: int, labels: list[str]
) -> None:
    body = gallery.http.get(f"/v1/models/{reference}").json()

    assert (body["name"], body["version"], body["labels"], body["state"]) == (
        "nested",
        number,
        labels,
        "ready",
    )
    assert body["classes"] == ["cat", "dog", "cup"]
    assert body["parameters"] == gallery.examples["nested"].model.count_params()
    assert [output["address"] for output in body["outputs"]] == ["kind"]
    assert body["inputs"][0]["shape"] == [8, 8, 1]
    assert body["warnings"] == []


def test_what_is_assumed_is_said(gallery: Gallery) -> None:
    body = gallery.http.get("/v1/models/any_size").json()

    assert body["inputs"][0]["shape"] == [None, None, 3]
    assert body["inputs"][0]["preprocessing"]["assumed"] is True
    assert "'unit' was assumed" in body["warnings"][0]


def test_layer_rows_describe_the_model_as_keras_does(http: TestClient, digits: keras.Model) -> None:
    rows = http.get("/v1/models/digits/layers").json()["layers"]

    assert [row["address"] for row in rows] == [layer.name for layer in digits.layers]
    before = []
    for index, (row, layer) in enumerate(zip(rows, digits.layers, strict=True)):
        shape = list(layer.output.shape[1:])
        assert (row["index"], row["type"], row["shape"]) == (index, type(layer).__name__, shape)
        assert (row["parameters"], row["channels"]) == (layer.count_params(), shape[-1])
        assert (row["call"], row["output"], row["group"], row["dtype"]) == (0, 0, False, "float32")
        assert row["bytes_per_image"] == 4 * np.prod(shape)
        assert row["inbound"] == before
        assert "tensor" in row["can"]
        before = [row["address"]]
    assert rows[1]["sites"] == ["output", "input", "preactivation"]


@pytest.mark.parametrize(
    ("selectors", "addresses"),
    [
        (["type:Conv2D"], ["conv1", "conv2", "conv3"]),
        (["dense,conv1"], ["conv1", "dense"]),
        (["dense", "conv1", "dense"], ["conv1", "dense"]),
        (["index:0..1"], ["input", "conv1"]),
        (["re:^(conv|pool)2$"], ["conv2", "pool2"]),
        (["last:conv"], ["conv3"]),
        (["outputs"], ["probabilities"]),
        (["conv1@input"], ["conv1@input"]),
    ],
)
def test_layers_are_selected(http: TestClient, selectors: list[str], addresses: list[str]) -> None:
    rows = http.get("/v1/models/digits/layers", params={"layers": selectors}).json()["layers"]

    assert [row["address"] for row in rows] == addresses


@pytest.mark.parametrize("name", ["nested", "pair", "any_size", "odd", "plugin"])
def test_what_a_row_can_it_does_and_what_it_cannot_it_refuses(gallery: Gallery, name: str) -> None:
    http, inputs = gallery.http, gallery.http.get(f"/v1/models/{name}").json()["inputs"]
    files = [(each["name"], SEVEN) for each in inputs]
    for row in http.get(f"/v1/models/{name}/layers").json()["layers"]:
        answer = http.post(f"/v1/models/{name}/feature-map.png", files=files, data={"layer": row["address"]})
        drawable = "picture" not in row["cannot"]
        assert (answer.status_code == 200) is drawable, (row, answer.text[:300])
        assert drawable is (len(row["can"]) > 1)


@pytest.mark.parametrize("name", WIRINGS)
def test_a_graph_is_whole(gallery: Gallery, name: str) -> None:
    graph = gallery.http.get(f"/v1/models/{name}/graph").json()
    layers = gallery.http.get(f"/v1/models/{name}/layers").json()["layers"]
    nodes = [node["address"] for node in graph["nodes"]]
    groups = [group["path"] for group in graph["groups"]]
    edges = [(edge["source"], edge["target"]) for edge in graph["edges"]]
    targets = {target for _, target in edges}
    inputs = {each["name"] for each in gallery.http.get(f"/v1/models/{name}").json()["inputs"]}

    assert len(set(nodes)) == len(nodes)
    assert {row["address"] for row in layers if not row["group"]} - set(nodes) <= {
        row["address"] for row in layers if row["output"]
    }
    assert all(source in nodes and target in nodes for source, target in edges)
    assert len(set(edges)) == len(edges)
    assert targets == set(nodes) - inputs
    assert all(nodes.index(source) < nodes.index(target) for source, target in edges)
    assert {group["parent"] for group in graph["groups"]} <= {*groups, None}
    assert {node["group"] for node in graph["nodes"]} <= {*groups, None}


@pytest.mark.parametrize(
    ("name", "edges"),
    [
        (
            "nested",
            "picture>stem stem>backbone/block/conv backbone/block/conv>backbone/norm backbone/norm>pool pool>kind",
        ),
        (
            "shared",
            (
                "picture>turn picture>encoder/conv encoder/conv>encoder/pool encoder/pool>difference "
                "turn>encoder/conv:1 encoder/conv:1>encoder/pool:1 encoder/pool:1>difference"
            ),
        ),
        (
            "pair",
            "left>look_left right>look_right look_left>both look_right>both both>pool pool>kind pool>score",
        ),
        (
            "forked",
            "picture>trunk/near picture>trunk/far trunk/near>pool_near trunk/far>pool_far",
        ),
        (
            "ladder",
            "picture>trunk/near trunk/near>trunk/far trunk/near>pool_near trunk/far>pool_far",
        ),
        ("sequence", "steps>lstm lstm>mean mean>sum lstm>sum sum>kind"),
        (
            "plugin",
            (
                "input>stem stem>residual/conv residual/conv>pool stem>pool "
                "stem>residual/conv:1 residual/conv:1>peak stem>peak"
            ),
        ),
    ],
    ids=lambda value: value.partition(">")[0],
)
def test_edges_go_into_and_out_of_groups(gallery: Gallery, name: str, edges: str) -> None:
    graph = gallery.http.get(f"/v1/models/{name}/graph").json()

    assert {f"{edge['source']}>{edge['target']}" for edge in graph["edges"]} == set(edges.split())


def test_groups_nest(gallery: Gallery) -> None:
    groups = gallery.http.get("/v1/models/nested/graph").json()["groups"]

    assert {group["path"]: group["parent"] for group in groups} == {
        "backbone": None,
        "backbone/block": "backbone",
    }


def test_every_call_of_a_shared_model_is_a_group_of_its_own(gallery: Gallery) -> None:
    graph = gallery.http.get("/v1/models/shared/graph").json()

    assert [(group["path"], group["name"]) for group in graph["groups"]] == [
        ("encoder", "encoder"),
        ("encoder:1", "encoder:1"),
    ]
    assert {node["address"]: node["group"] for node in graph["nodes"] if node["group"]} == {
        "encoder/conv": "encoder",
        "encoder/pool": "encoder",
        "encoder/conv:1": "encoder:1",
        "encoder/pool:1": "encoder:1",
    }
    assert {"conv:1", "pool:1"} <= {node["name"] for node in graph["nodes"]}


def test_the_life_of_an_image(http: TestClient) -> None:
    data = picture(1)
    created = http.post("/v1/images", content=data, headers=PNG)
    url = created.headers["location"]
    again = http.post("/v1/images", files={"image": data})
    described = http.get(url)

    assert (created.status_code, again.status_code, described.status_code) == (201, 200, 200)
    body = created.json()
    assert {key: body[key] for key in ("width", "height", "mode", "format", "orientation_applied")} == {
        "width": 200,
        "height": 300,
        "mode": "RGB",
        "format": "png",
        "orientation_applied": 1,
    }
    assert url == f"/v1/images/{body['id']}"
    assert again.json()["id"] == described.json()["id"] == body["id"]
    left = datetime.fromisoformat(described.json()["expires"]) - datetime.now(UTC)
    assert timedelta(0) < left <= timedelta(seconds=Limits().image_store_seconds)

    assert http.delete(url).status_code == 204
    for method, address in (("GET", url), ("DELETE", url), ("GET", f"{url}/thumbnail.png")):
        gone = http.request(method, address)
        assert (gone.status_code, gone.json()["code"]) == (404, "image_not_found")
    gone = http.get("/v1/models/digits/activations", params={"image": body["id"]})
    assert (gone.status_code, gone.json()["code"]) == (404, "image_not_found")
    assert http.post("/v1/images", content=data, headers=PNG).status_code == 201


def test_a_thumbnail_is_a_small_picture_made_anew(http: TestClient) -> None:
    data = picture(2)
    url = http.post("/v1/images", content=data, headers=PNG).headers["location"]
    answer = http.get(f"{url}/thumbnail.png", params={"side": 60})

    assert answer.headers["content-type"] == "image/png"
    assert Image.open(io.BytesIO(answer.content)).size == (40, 60)
    assert answer.content != data


def test_an_id_is_the_digest_of_the_bytes(http: TestClient) -> None:
    assert http.post("/v1/images", content=SEVEN, headers=PNG).json()["id"] == SEVEN_ID


def test_every_limit_in_force_is_told() -> None:
    from layerscope_api.context.settings import Settings
    from layerscope_api.server.app import create_app

    limits = Limits(plan_bytes=3, form_parts=7)
    with TestClient(create_app(Settings(models=None, limits=limits))) as http:
        rows = http.get("/v1/limits").json()["limits"]

    assert {row["name"]: row["value"] for row in rows} == dataclasses.asdict(limits)
    for row, field in zip(rows, dataclasses.fields(limits), strict=True):
        assert {key: row[key] for key in ("unit", "meaning")} == dict(field.metadata)


def test_versions_are_those_installed(http: TestClient) -> None:
    body = http.get("/v1/version").json()

    assert (body["layerscope"], body["keras"], body["numpy"]) == (
        __version__,
        keras.__version__,
        np.__version__,
    )
    assert body["tensorflow"].startswith("2.")
    assert version("keras") == body["keras"]


def test_every_colormap_that_is_listed_draws(http: TestClient, seven: str) -> None:
    names = http.get("/v1/colormaps").json()["colormaps"]
    assert len(names) > 100
    assert {"viridis", "vik", "gray"} <= set(names)
    for name in names[::40]:
        look = {"image": seven, "layer": "conv3", "channel": 0, "colormap": name}
        assert http.get("/v1/models/digits/feature-map.png", params=look).status_code == 200, name


def test_health(http: TestClient) -> None:
    live, ready = http.get("/v2/health/live"), http.get("/v2/health/ready")

    assert (live.status_code, live.json()) == (200, {"live": True})
    assert (ready.status_code, ready.json()) == (200, {"live": True, "ready": True})
