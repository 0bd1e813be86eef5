"""What is published: both Python packages, as wheel and source distribution, and the npm package. All of it, and nothing else."""

import json
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from email.parser import Parser
from pathlib import Path, PurePosixPath

import pytest

from checkout import ROOT, files_below
from distributions import build_distributions
from layerscope import __version__

pytestmark = pytest.mark.wide

EXPLORER = ROOT / "api" / "layerscope_api" / "explorer"
PACKAGES = {"layerscope": ["service", "api"], "layerscope_client": ["clients/python/src"]}
"""The source roots of each distribution."""
ASK = """
import json, re, sys
import layerscope_api
from starlette.testclient import TestClient
from layerscope_api.server.app import create_app, local_engine
from layerscope_api.context.settings import Settings

settings = Settings()
http = TestClient(create_app(settings, local_engine(settings)))
page = http.get("/ui/")
revision = re.search(r'src="(\\w+)/joined.js"', page.text)[1]
answers = {
    name: http.get(f"/{name}" if name.startswith("docs/") else f"/ui/{revision}/{name}") for name in sys.argv[1:]
}
print(json.dumps({
    "from": layerscope_api.__file__,
    "page": [page.status_code, page.headers["content-type"]],
    "files": {name: [each.status_code, each.headers["content-type"], each.text] for name, each in answers.items()},
}))
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_distributions(tmp_path_factory.mktemp("dist"))


def sources(*roots: str) -> set[str]:
    """The files below some folders that git does not ignore, relative to them."""
    return {str(name) for root in roots for name in files_below(ROOT / root)}


def test_everything_has_the_one_version(built: Path) -> None:
    assert {path.name for path in built.iterdir() if not path.name.startswith(".")} == {
        f"layerscope-{__version__}-py3-none-any.whl",
        f"layerscope-{__version__}.tar.gz",
        f"layerscope_client-{__version__}-py3-none-any.whl",
        f"layerscope_client-{__version__}.tar.gz",
        f"layerscope-client-{__version__}.tgz",
    }


@pytest.mark.parametrize("package", PACKAGES)
def test_a_wheel_has_the_files_of_its_packages_and_nothing_else(built: Path, package: str) -> None:
    """It is built from the source distribution, which therefore has them, too."""
    wheel = zipfile.ZipFile(built / f"{package}-{__version__}-py3-none-any.whl")
    folder = f"{package}-{__version__}.dist-info"
    packed = {name for name in wheel.namelist() if not name.startswith(folder)}
    assert packed == sources(*PACKAGES[package])
    assert f"{package}/py.typed" in packed
    metadata = Parser().parsestr(wheel.read(f"{folder}/METADATA").decode())
    assert metadata["Version"] == __version__
    assert metadata["License-Expression"] == "Apache-2.0"
    assert wheel.read(f"{folder}/licenses/LICENSE") == (ROOT / "LICENSE").read_bytes()


def test_the_wheel_of_the_service_has_its_command_its_models_and_their_licences(built: Path) -> None:
    wheel = zipfile.ZipFile(built / f"layerscope-{__version__}-py3-none-any.whl")
    commands = wheel.read(f"layerscope-{__version__}.dist-info/entry_points.txt").decode()
    assert "layerscope = layerscope_api.cli.app:app" in commands
    demo = {name.removeprefix("layerscope/demo/") for name in wheel.namelist() if "/demo/" in name}
    assert demo >= {
        "models/digits/1/model.keras",
        "photo_model/layerscope.json",
        "samples/seven.png",
        "photos/cup.jpg",
    }
    assert demo >= {"photo_model/LICENSE", "samples/LICENSE", "photos/LICENSE"}


@pytest.mark.parametrize(
    ("package", "folders"), [("layerscope", {"service", "api", "clients"}), ("layerscope_client", {"src"})]
)
def test_a_source_distribution_has_nothing_of_tests_and_documentation(
    built: Path, package: str, folders: set[str]
) -> None:
    with tarfile.open(built / f"{package}-{__version__}.tar.gz") as archive:
        paths = [PurePosixPath(name).relative_to(f"{package}-{__version__}") for name in archive.getnames()]
    assert {path.parts[0] for path in paths if len(path.parts) > 1} == folders
    assert {str(path) for path in paths} >= {"LICENSE", "README.md", "pyproject.toml", "PKG-INFO"}


def test_the_npm_package_has_the_client_its_types_and_its_licence(built: Path) -> None:
    with tarfile.open(built / f"layerscope-client-{__version__}.tgz") as archive:
        names = {name.removeprefix("package/") for name in archive.getnames()}
    modules = {path.stem for path in (ROOT / "clients" / "js").glob("*.js")}
    types = {f"{each}.d.ts" for each in modules | {"contract"}}
    assert names == {f"{each}.js" for each in modules} | types | {"LICENSE", "README.md", "package.json"}
    # Beside a module, its types would be checked in its place.
    assert [path.name for path in (ROOT / "clients" / "js").glob("*.d.ts")] == ["contract.d.ts"]


def test_the_explorer_of_the_installed_wheel_answers_all_that_the_page_asks_for(
    built: Path, tmp_path: Path
) -> None:
    """What the wheel needs is borrowed from this environment."""
    venv.create(tmp_path / "venv")
    python = tmp_path / "venv" / "bin" / "python"
    wheel = built / f"layerscope-{__version__}-py3-none-any.whl"
    install = ("-m", "uv", "pip", "install", "--offline", "--no-deps", "--python", python, wheel)
    subprocess.run([sys.executable, *install], check=True, capture_output=True)
    (site,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    # A path alone: what is installed as editable in it is not found by it.
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib"))
    modules = {str(path.relative_to(EXPLORER)): path for path in EXPLORER.rglob("*.js")}
    asked = subprocess.run(
        [python, "-c", ASK, *modules], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    found = json.loads(asked.stdout.splitlines()[-1])
    assert found["from"].startswith(str(tmp_path))
    assert found["page"] == [200, "text/html; charset=utf-8"]
    for name, path in modules.items():
        assert found["files"][name] == [200, "text/javascript; charset=utf-8", path.read_text("utf-8")], name
