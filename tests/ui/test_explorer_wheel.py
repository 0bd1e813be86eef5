"""The installed explorer has the files of the repository: from a wheel that is built from a source distribution."""

import json
import subprocess
import sys
import sysconfig
import tarfile
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = ROOT / "api" / "layerscope_api" / "explorer"
ASK = """
import json, re, sys
import layerscope_api
from starlette.testclient import TestClient
from layerscope_api.server.app import create_app, local_engine
from layerscope_api.context.settings import Settings

settings = Settings()
http = TestClient(create_app(settings, local_engine(settings)))
page = http.get("/ui/")
revision = re.search(r'src="(\\w+)/main.js"', page.text)[1]
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
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with the wheel; what that needs is borrowed from this environment."""
    folder = tmp_path_factory.mktemp("installed")
    build(ROOT, "sdist", folder)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    build(folder / archive.name.removesuffix(".tar.gz"), "wheel", folder)
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "venv")
    interpreter = folder / "venv" / "bin" / "python"
    site = run(interpreter, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    run(
        sys.executable,
        "-m",
        "uv",
        "pip",
        "install",
        "--offline",
        "--no-deps",
        "--python",
        str(interpreter),
        str(wheel),
    )
    # A path alone: what is installed as editable in it is not found by it.
    Path(site, "borrowed.pth").write_text(sysconfig.get_path("purelib"))
    return interpreter


def build(source: Path, target: str, folder: Path) -> None:
    run(
        sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(folder), cwd=source
    )


def run(*command: str | Path, cwd: Path | None = None) -> str:
    return subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True).stdout


def test_the_explorer_of_an_installed_wheel_answers_all_that_the_page_asks_for(
    python: Path, tmp_path: Path
) -> None:
    modules = {str(path.relative_to(FILES)): path for path in FILES.rglob("*.js")}
    found = json.loads(run(python, "-c", ASK, *modules, cwd=tmp_path).splitlines()[-1])
    assert found["from"].startswith(str(python.parents[1]))
    assert found["page"] == [200, "text/html; charset=utf-8"]
    for name, path in modules.items():
        assert found["files"][name] == [200, "text/javascript; charset=utf-8", path.read_text("utf-8")], name
