"""Files of the explorer: small, cacheable without end, and without anything from other servers."""

import base64
import gzip
import hashlib
import json
import re
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from layerscope.demo import photos, samples
from layerscope.render import lookup_table
from layerscope_api.context.settings import Settings
from layerscope_api.explorer.files import explorer_files, revision
from layerscope_api.server.app import create_app

ROOT = Path(__file__).parents[2]
FILES = ROOT / "api" / "layerscope_api" / "explorer"
MODULES = sorted(
    str(path.relative_to(FILES)) for path in FILES.rglob("*.js") if path.parent != FILES / "docs"
)


@pytest.fixture(scope="module")
def http(engine) -> TestClient:
    return TestClient(create_app(Settings(models=None), engine))


@pytest.fixture(scope="module")
def page(http: TestClient) -> str:
    return http.get("/ui/").text


def test_the_start_leads_to_the_explorer_behind_any_path(http: TestClient) -> None:
    for path in ("/", "/ui"):
        answer = http.get(path, follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (307, "ui/")


def test_every_module_is_served_as_it_lies_in_the_package_and_kept_for_ever(
    http: TestClient, page: str
) -> None:
    revision = re.search(r'src="(\w+)/main.js"', page)[1]
    for name in MODULES:
        kept, newest = http.get(f"/ui/{revision}/{name}"), http.get(f"/ui/{name}")
        assert kept.content == newest.content == (FILES / name).read_bytes()
        assert kept.headers["content-type"] == "text/javascript; charset=utf-8"
        assert kept.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert newest.headers["cache-control"] == "no-cache"
    assert http.get(f"/ui/000000000000/{MODULES[0]}").json()["code"] == "not_found"
    for name in ("index.html", "__init__.py", "../__main__.py", "docs/docs.js", "base.css"):
        assert http.get(f"/ui/{revision}/{name}").status_code == 404


def test_the_client_is_the_client(http: TestClient) -> None:
    for path in (ROOT / "clients" / "js").glob("*.js"):
        assert http.get(f"/ui/client/{path.name}").content == path.read_bytes()


def test_the_page_allows_its_own_scripts_and_style_only(http: TestClient, page: str) -> None:
    policy = http.get("/ui/").headers["content-security-policy"]
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    assert (
        f"style-src 'sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}'" in policy
    )
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert re.findall(r"""(?:src|href)=["'](?:https?:)?//""", page) == []
    scripts = "".join((FILES / name).read_text() for name in MODULES)
    assert set(re.findall(r"""["'`]https?://([^/"'`:]+)""", scripts)) == {"127.0.0.1", "www.w3.org"}


def test_every_module_that_is_needed_first_is_announced(page: str) -> None:
    announced = set(re.findall(r'rel="modulepreload" href="\w+/([^"]+)"', page))
    needed, waiting = set(), ["main.js"]
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            imported = re.findall(r'^import .* from "\./([^"]+)";', (FILES / name).read_text(), re.MULTILINE)
            waiting += [str(Path(name).parent / each) for each in imported]
    assert announced == needed


def test_what_comes_first_is_small(http: TestClient, page: str) -> None:
    paths = ["/ui/", *(f"/ui/{path}" for path in re.findall(r'rel="modulepreload" href="([^"]+)"', page))]
    sent = {path: http.get(path, headers={"Accept-Encoding": "gzip"}) for path in paths}
    sizes = {path: int(answer.headers["content-length"]) for path, answer in sent.items()}
    assert all(answer.headers["content-encoding"] == "gzip" for answer in sent.values())
    assert sum(sizes.values()) < 150_000
    assert sum(sizes.values()) == sum(len(gzip.compress(answer.content, mtime=0)) for answer in sent.values())


def test_samples_and_palettes_are_those_of_the_service(page: str) -> None:
    (text,) = re.findall(r'<script type="application/json" id="shipped">(.*?)</script>', page)
    shipped = json.loads(text)
    assert [each["name"] for each in shipped["samples"]] == [*samples(), *photos()]
    for each in shipped["samples"]:
        data = (samples() | photos())[each["name"]].read_bytes()
        if each["kind"] == "digits":
            assert base64.b64decode(each["png"]) == data
        else:
            assert explorer_files()[each["path"].removeprefix(f"{revision()}/")].content == data
        assert each["id"] == f"sha256-{hashlib.sha256(data).hexdigest()}"
    for name, colours in shipped["palettes"].items():
        assert base64.b64decode(colours) == lookup_table(name, 256).tobytes()
