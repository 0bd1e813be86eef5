"""The snippets of the README with what is published, in an environment that has nothing else. It asks the package index."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from test_readme import CURLS, PHOTOS, ROOT, WRITTEN_ADDRESS, run, snippets

from distributions import build_distributions
from layerscope import __version__

UV = [sys.executable, "-m", "uv"]


def interpreter(version: str) -> str:
    """A Python of this machine; none is downloaded."""
    command = [*UV, "python", "find", "--no-python-downloads", "--no-project", version]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    if found.returncode:
        pytest.skip(f"There is no Python {version} here.")
    return found.stdout.strip()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_distributions(tmp_path_factory.mktemp("dist"))


@pytest.mark.soak
@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_the_readme_runs_from_what_is_published(built: Path, tmp_path: Path, version: str) -> None:
    environment, clone = tmp_path / "venv", tmp_path / "clone"
    run([*UV, "venv", "--quiet", "--python", interpreter(version), str(environment)], tmp_path)
    python = environment / "bin" / "python"
    wheels = [
        f"layerscope[cpu,photos] @ {(built / f'layerscope-{__version__}-py3-none-any.whl').as_uri()}",
        f"layerscope-client @ {(built / f'layerscope_client-{__version__}-py3-none-any.whl').as_uri()}",
    ]
    install = [*UV, "pip", "install", "--quiet", "--python", str(python), *wheels]
    subprocess.run(install, check=True, timeout=1200)
    shutil.copytree(ROOT / PHOTOS, clone / PHOTOS)
    cache = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    command = [environment / "bin" / "layerscope", "demo", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=cache, cwd=clone) as service:
        assert service.stderr is not None
        said = iter(service.stderr.readline, "")
        address = next(line.split()[-1] for line in said if "serves on" in line)
        for line in CURLS:
            run(["bash", "-c", line.replace(WRITTEN_ADDRESS, address).replace("curl ", "curl -sSf ")], clone)
        (snippet,) = snippets("python")
        output = run([str(python), "-c", snippet.replace(WRITTEN_ADDRESS, address)], clone)
        assert "'block2b_add': (1, 56, 56, 24), 'predictions': (1, 1000)" in output
        (snippet,) = snippets("js")
        (clone / "snippet.mjs").write_text(snippet.replace(WRITTEN_ADDRESS, address))
        tools = Path(sys.executable).parent
        package = built / f"layerscope-client-{__version__}.tgz"
        run([str(tools / "npm"), "install", "--silent", "--offline", str(package)], clone)
        assert "block2b_add [ 1, 56, 56, 24 ]" in run([str(tools / "node"), "snippet.mjs"], clone)
        service.terminate()
