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
from layerscope_api.explorer.joined import joined_modules
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


def sha256(text: str) -> str:
    """The digest of an inline script or style, as in a policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def test_the_start_leads_to_the_explorer_behind_any_path(http: TestClient) -> None:
    for path in ("/", "/ui"):
        answer = http.get(path, follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (307, "ui/")


def test_every_module_is_served_as_it_lies_in_the_package_and_kept_for_ever(
    http: TestClient, page: str
) -> None:
    revision = re.search(r'src="(\w+)/joined.js"', page)[1]
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
    (imports,) = re.findall(r'<script type="importmap">(.*?)</script>', page)
    assert f"style-src {sha256(style)};" in policy
    assert f"script-src 'self' {sha256(imports)};" in policy
    assert "unsafe" not in policy
    assert re.findall(r"""(?:src|href)=["'](?:https?:)?//""", page) == []
    scripts = "".join((FILES / name).read_text() for name in MODULES)
    assert set(re.findall(r"""["'`]https?://([^/"'`:]+)""", scripts)) == {"127.0.0.1", "www.w3.org"}


def test_every_module_that_is_needed_first_is_in_one_file_and_found_there_by_the_others(page: str) -> None:
    (imports,) = re.findall(r'<script type="importmap">(.*?)</script>', page)
    needed, waiting = set(), ["main.js"]
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            imported = re.findall(r'^import .* from "\./([^"]+)";', (FILES / name).read_text(), re.MULTILINE)
            waiting += [str(Path(name).parent / each) for each in imported]
    joined = f"./{revision()}/joined.js"
    assert json.loads(imports) == {"imports": {f"./{revision()}/{name}": joined for name in needed}}
    assert re.findall(r'rel="modulepreload" href="([^"]+)"', page) == [joined.removeprefix("./")]


def test_joined_modules_keep_their_scopes_and_come_behind_what_they_import() -> None:
    modules = {
        "a.js": 'import { b } from "./in/b.js";\nimport { c } from "./c.js";\nexport const a = b + c;\n',
        "in/b.js": "const own = 1;\nexport const b = own;\n",
        "c.js": 'import { b } from "./in/b.js";\nconst own = 2;\nexport function c() {\n  return own + b;\n}\n',
    }
    text, order = joined_modules(modules, "a.js")
    assert order == ["in/b.js", "c.js", "a.js"]
    assert text.endswith("export { b, c, a };\n")
    assert "import" not in text


@pytest.mark.parametrize(
    ("module", "message"),
    [
        ('export { b } from "./b.js";\n', "another form"),
        ('import * as b from "./b.js";\n', "another form"),
        ('import { b } from "./b.js";\nexport const b = 1;\n', "same name"),
    ],
)
def test_what_cannot_be_joined_is_refused(module: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        joined_modules({"a.js": module, "b.js": "export const b = 1;\n"}, "a.js")


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
