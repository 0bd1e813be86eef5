"""The JavaScript client, in Node, against the real service."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import layerscope
from digit_images import write_digits
from layerscope.demo import MODELS
from served_address import served_address
from text_networks import write_text_models

ROOT = Path(__file__).parents[2]
CLIENT = ROOT / "clients" / "js"
TESTS = sorted(path.name for path in (ROOT / "tests" / "clients" / "js").glob("*.test.js"))
NODE = Path(sys.executable).with_name("node")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service with the demo model and models of text, and a place of digits."""
    folder = tmp_path_factory.mktemp("models")
    shutil.copytree(MODELS / "digits", folder / "digits")
    write_text_models(folder)
    kept = tmp_path_factory.mktemp("data_sets")
    settings = {
        "LAYERSCOPE_PLACES": json.dumps({"photos": str(write_digits(kept / "photos"))}),
        "LAYERSCOPE_DATASETS": str(kept / "catalog"),
    }
    with served_address("--models", str(folder), environment=settings) as address:
        yield address


@pytest.mark.parametrize("file", TESTS)
def test_javascript(address: str, file: str) -> None:
    command = [NODE, "--test", "--test-reporter=spec", f"tests/clients/js/{file}"]
    environment = {**os.environ, "LAYERSCOPE_ADDRESS": address}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"tests [1-9]", done.stdout), done.stdout


def test_the_package_has_what_it_names_and_the_version_of_the_service() -> None:
    package = json.loads((CLIENT / "package.json").read_text("utf-8"))
    assert package["version"] == layerscope.__version__
    assert package["files"] == ["*.js", "*.d.ts"]
    assert (CLIENT / package["exports"]["."]["default"]).is_file()
    assert "dependencies" not in package


def test_locked_development_tools_name_no_registry() -> None:
    lock = json.loads((CLIENT / "package-lock.json").read_text("utf-8"))
    assert [name for name, entry in lock["packages"].items() if "resolved" in entry] == []
    assert all(entry.get("dev") for name, entry in lock["packages"].items() if name)
