"""Headers: identity, timing, caching, and what other origins may read."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from requests_made import ACTIVATIONS, FEATURE_MAP, PNG, PREDICTIONS, SEVEN
from served_models import Gallery
from starlette.testclient import TestClient

from layerscope.demo import MODELS
from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app

ORIGIN = "https://example.org"
EXACT = "/v1/models/digits@1/activations"


@pytest.fixture(scope="module")
def open_to_an_origin() -> Iterator[TestClient]:
    with TestClient(create_app(Settings(models=None, cors_origins=(ORIGIN,)))) as http:
        yield http


@pytest.mark.parametrize(
    ("url", "options"),
    [
        pytest.param(ACTIVATIONS, {"layers": "dense"}, id="activations"),
        pytest.param(FEATURE_MAP, {"layer": "conv1"}, id="feature map"),
        pytest.param(PREDICTIONS, {}, id="predictions"),
    ],
)
def test_what_a_client_has_is_not_sent_again(
    http: TestClient, seven: str, url: str, options: dict[str, str]
) -> None:
    params = {"image": seven, **options}
    first = http.get(url, params=params)
    etag = first.headers["etag"]
    # Weak: the last bits of values depend on which other layers are computed with them.
    assert re.fullmatch(r'W/"[0-9a-f]{32}"', etag)
    assert http.get(url, params=params).headers["etag"] == etag

    for known in (etag, etag.removeprefix("W/"), f'"other", {etag}', "*"):
        again = http.get(url, params=params, headers={"If-None-Match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == etag
        assert again.headers["vary"] == first.headers["vary"] == "Accept"
    other = http.get(url, params=params, headers={"If-None-Match": '"other"'})
    assert (other.status_code, other.content) == (200, first.content)


def test_another_answer_has_another_etag(http: TestClient, seven: str) -> None:
    image = http.post("/v1/images", files={"image": SEVEN + b" "}).json()["id"]
    several = [
        http.get(ACTIVATIONS, params={"image": seven, "layers": "dense"}),
        http.get(ACTIVATIONS, params={"image": seven, "layers": "conv1"}),
        http.get(ACTIVATIONS, params={"image": seven, "layers": "dense", "dtype": "float16"}),
        http.get(ACTIVATIONS, params={"image": [seven, seven], "layers": "dense"}),
        http.get(ACTIVATIONS, params={"image": image, "layers": "dense"}),
        http.get(
            ACTIVATIONS, params={"image": seven, "layers": "dense"}, headers={"Accept": "application/x-npy"}
        ),
        http.get(PREDICTIONS, params={"image": seven}),
        http.get(PREDICTIONS, params={"image": seven, "top": 2}),
    ]

    assert {answer.status_code for answer in several} == {200}
    assert len({answer.headers["etag"] for answer in several}) == len(several)


def test_two_versions_have_two_etags(gallery: Gallery) -> None:
    image = gallery.http.post("/v1/images", content=SEVEN, headers=PNG).json()["id"]
    tags = {
        reference: gallery.http.get(f"/v1/models/{reference}/predictions", params={"image": image}).headers[
            "etag"
        ]
        for reference in ("nested@1", "nested@stable", "nested@2", "nested")
    }

    assert tags["nested@1"] == tags["nested@stable"] != tags["nested@2"] == tags["nested"]


def test_another_file_or_declaration_has_another_etag(http: TestClient, tmp_path: Path) -> None:
    def etags(http: TestClient, *models: str) -> list[str]:
        image = http.post("/v1/images", content=SEVEN, headers=PNG).json()["id"]
        answers = [http.get(f"/v1/models/{model}/predictions", params={"image": image}) for model in models]
        return [answer.headers["etag"] for answer in answers]

    for name in ("same", "digits"):
        shutil.copytree(MODELS / "digits", tmp_path / name)
    with TestClient(create_app(Settings(models=tmp_path, control="explicit", load=("*",)))) as copies:
        original, renamed = etags(copies, "digits", "same")
        (tmp_path / "digits" / "1" / "layerscope.json").write_text('{"preprocessing": {"preset": "signed"}}')
        assert copies.post("/v1/models/digits/load").status_code == 200
        (changed,) = etags(copies, "digits")

    assert [original] == etags(http, "digits")
    assert len({original, renamed, changed}) == 3


def test_only_an_exact_version_may_be_kept_without_asking(http: TestClient, seven: str) -> None:
    params = {"image": seven, "layers": "dense"}
    exact, bare = http.get(EXACT, params=params), http.get(ACTIVATIONS, params=params)

    assert exact.headers["cache-control"] == "private, max-age=86400, immutable"
    assert bare.headers["cache-control"] == "private, no-cache"
    for url, answer in ((EXACT, exact), (ACTIVATIONS, bare)):
        known = http.get(url, params=params, headers={"If-None-Match": answer.headers["etag"]})
        assert known.headers["cache-control"] == answer.headers["cache-control"]


def test_a_name_of_digits_is_no_version(gallery: Gallery) -> None:
    image = gallery.http.post("/v1/images", content=SEVEN, headers=PNG).json()["id"]
    for reference, kept in (("2024", "no-cache"), ("2024@1", "max-age=86400, immutable")):
        answer = gallery.http.get(f"/v1/models/{reference}/predictions", params={"image": image})
        assert answer.headers["cache-control"] == f"private, {kept}"


def test_what_was_sent_along_cannot_be_cached(http: TestClient) -> None:
    answer = http.post(EXACT, params={"layers": "dense"}, content=SEVEN, headers=PNG)

    assert "etag" not in answer.headers
    assert "cache-control" not in answer.headers


@pytest.mark.parametrize("url", ["/v1/models", "/v1/models/none", "/nowhere", "/v2/health/live"])
@pytest.mark.parametrize(
    ("asked", "is_kept"),
    [("job-17.part_2", True), ("a" * 128, True), ("a" * 129, False), ("two words", False), ("", False)],
)
def test_every_answer_has_a_request_id(http: TestClient, url: str, asked: str, is_kept: bool) -> None:
    answer = http.get(url, headers={"X-Request-Id": asked})
    request_id = answer.headers["x-request-id"]

    assert (request_id == asked) is is_kept
    assert is_kept or re.fullmatch(r"[0-9a-f]{32}", request_id)
    if answer.is_error:
        assert answer.json()["request_id"] == request_id


def test_the_stages_of_a_run_are_timed(http: TestClient) -> None:
    for expected in ("miss", "hit"):
        answer = http.post(PREDICTIONS, content=SEVEN + b"not seen before", headers=PNG)
        timing = answer.headers["server-timing"]
        stages = dict(re.findall(r"(\w+);dur=([\d.]+)", timing))
        assert stages.keys() == {"decode", "queue", "run", "encode", "total"}
        assert f"cache;desc={expected}" in timing


def test_tensors_and_pictures_name_the_model(http: TestClient, seven: str) -> None:
    digest = http.get("/v1/models/digits").json()["digest"]
    for url, options in ((ACTIVATIONS, {"layers": "dense"}), (FEATURE_MAP, {"layer": "conv1"})):
        answer = http.get(url, params={"image": seven, **options})
        assert answer.headers["x-model"] == "digits@1"
        assert answer.headers["x-model-digest"] == digest
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_name_outside_ascii_is_written_in_ascii(gallery: Gallery) -> None:
    send = {"content": SEVEN, "headers": PNG}
    tensor = gallery.http.post("/v1/models/odd/activations", params={"layers": "層", "format": "npy"}, **send)
    picture = gallery.http.post("/v1/models/odd/feature-map.png", params={"layer": "層"}, **send)

    assert tensor.status_code == picture.status_code == 200
    assert tensor.headers["x-layer"] == picture.headers["x-layer"] == "%E5%B1%A4"
    again = gallery.http.post(
        "/v1/models/odd/activations", params={"layers": tensor.headers["x-layer"], "format": "npy"}, **send
    )
    assert again.content == tensor.content


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        (ACTIVATIONS, "GET, HEAD, POST"),
        ("/v1/models/digits/attributions/gradcam.png", "GET, HEAD, POST"),
        (f"/v1/images/sha256-{'0' * 64}", "DELETE, GET, HEAD"),
        ("/v2/health/live", "GET, HEAD"),
    ],
)
def test_a_wrong_method_is_told_all_that_its_address_takes(http: TestClient, url: str, allowed: str) -> None:
    answer = http.request("PATCH", url)

    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


def test_other_origins_may_read_nothing_by_default(http: TestClient, seven: str) -> None:
    answer = http.get(ACTIVATIONS, params={"image": seven}, headers={"Origin": ORIGIN})
    preflight = http.options(ACTIVATIONS, headers={"Origin": ORIGIN, "Access-Control-Request-Method": "POST"})

    assert answer.status_code == 200
    assert not [name for name in (*answer.headers, *preflight.headers) if name.startswith("access-control")]
    assert preflight.status_code == 405


def test_an_origin_that_is_let_in_may_read_everything(open_to_an_origin: TestClient) -> None:
    send = {"content": SEVEN, "params": {"layer": "conv1"}}
    answer = open_to_an_origin.post(FEATURE_MAP, headers={**PNG, "Origin": ORIGIN}, **send)
    exposed = {name.strip().lower() for name in answer.headers["access-control-expose-headers"].split(",")}
    stranger = open_to_an_origin.post(FEATURE_MAP, headers={**PNG, "Origin": "https://example.com"}, **send)
    preflight = open_to_an_origin.options(
        FEATURE_MAP, headers={"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
    )

    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert exposed >= {
        name for name in answer.headers if name.startswith("x-") and not name.endswith("options")
    }
    assert exposed >= {"etag", "retry-after", "server-timing", "content-disposition"}
    assert "access-control-allow-origin" not in stranger.headers
    assert preflight.status_code == 200
    assert "POST" in preflight.headers["access-control-allow-methods"]


def test_an_origin_that_is_let_in_may_read_errors(open_to_an_origin: TestClient) -> None:
    for url in ("/v1/models/none", "/nowhere"):
        answer = open_to_an_origin.get(url, headers={"Origin": ORIGIN})
        assert answer.status_code == 404
        assert answer.headers["access-control-allow-origin"] == ORIGIN
    long = {**PNG, "Origin": ORIGIN, "Content-Length": str(65 << 20)}
    answer = open_to_an_origin.post(ACTIVATIONS, content=b"", headers=long)
    assert answer.status_code == 413
    assert answer.headers["access-control-allow-origin"] == ORIGIN
