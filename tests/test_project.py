"""The rules of the house that a linter does not know."""

import ast
import os
import re
import tomllib
from collections import Counter
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import layerscope
from checkout import files_below

ROOT = Path(__file__).parents[1]
SOURCE = {".css", ".html", ".js", ".mjs", ".py", ".sh"}
Pins = dict[str, set[Version]]


@pytest.fixture(scope="module")
def files() -> list[PurePosixPath]:
    """Every file of the checkout that git does not ignore, relative to its root."""
    found = files_below()
    assert PurePosixPath("pyproject.toml") in found
    return found


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return read_toml("pyproject.toml")


def read_toml(name: str) -> dict[str, Any]:
    return tomllib.loads((ROOT / name).read_text(encoding="utf-8"))


def read_pins(name: str) -> Pins:
    """The pinned versions by canonical name: several where they depend on the Python version."""
    pins: Pins = {}
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
    for pinned, version in re.findall(r"^([\w.-]+)==([^\s;]+)", text, re.MULTILINE):
        pins.setdefault(canonicalize_name(pinned), set()).add(Version(version))
    assert pins
    return pins


def not_pinned(requirements: list[str], pins: Pins) -> list[str]:
    """The requirements that no pin, or a pin outside their versions, answers."""
    parsed = [Requirement(each) for each in requirements]
    assert parsed
    versions = {each: pins.get(canonicalize_name(each.name), set()) for each in parsed}
    return [
        str(each)
        for each, found in versions.items()
        if not found or not all(map(each.specifier.contains, found))
    ]


def test_no_source_file_is_too_long(files: list[PurePosixPath]) -> None:
    source = [path for path in files if path.suffix in SOURCE]
    lines = {path: len((ROOT / path).read_text(encoding="utf-8").splitlines()) for path in source}
    most = {path: 350 if path.parts[0] in {"service", "api", "clients"} else 400 for path in source}
    assert {str(path): count for path, count in lines.items() if count > most[path]} == {}


def test_nothing_is_called_utils_helpers_or_manager(files: list[PurePosixPath]) -> None:
    vague = re.compile(r"(^|[/_])(utils?|helpers?|managers?)([/_.]|$)")
    assert [str(path) for path in files if vague.search(str(path))] == []


def test_no_two_modules_of_tests_have_the_same_name(files: list[PurePosixPath]) -> None:
    """All their folders are on the path at once."""
    names = Counter(file.name for file in files if file.parts[0] == "tests" and file.suffix == ".py")
    assert [
        name for name, count in names.items() if count > 1 and name not in {"conftest.py", "__init__.py"}
    ] == []


def test_every_module_has_a_docstring(files: list[PurePosixPath]) -> None:
    modules = [path for path in files if path.suffix == ".py" and path.parts[0] != "tests"]
    bare = [
        path
        for path in modules
        if not ast.get_docstring(ast.parse((ROOT / path).read_text(encoding="utf-8")))
    ]
    assert bare == []


def test_no_file_names_a_package_index_or_a_place_on_one_machine(files: list[PurePosixPath]) -> None:
    private = re.compile(rb"--(?:extra-)?index-url|pypi\.org/simple|file:/{3}|/(?:work|root)/")
    assert [str(path) for path in files if private.search((ROOT / path).read_bytes())] == []


@pytest.mark.parametrize(("root", "package"), [("service", "layerscope"), ("api", "layerscope_api")])
def test_a_source_root_holds_one_package_and_nothing_else(
    files: list[PurePosixPath], root: str, package: str
) -> None:
    inside = [path.relative_to(root) for path in files if path.is_relative_to(root)]
    assert {path.parts[0] for path in inside} == {package}
    assert PurePosixPath(package, "__init__.py") in inside


def test_what_the_service_needs_is_pinned(project: dict[str, Any]) -> None:
    needed = project["project"]["dependencies"] + project["project"]["optional-dependencies"]["cpu"]
    assert not_pinned(needed, read_pins("runtime.txt")) == []


def test_what_builds_it_is_pinned(project: dict[str, Any]) -> None:
    needed = project["dependency-groups"]["build"] + project["build-system"]["requires"]
    assert not_pinned(needed, read_pins("build.txt")) == []


def test_what_development_and_the_client_need_is_pinned(project: dict[str, Any]) -> None:
    client = read_toml("clients/python/pyproject.toml")
    development = [each for each in project["dependency-groups"]["dev"] if isinstance(each, str)]
    needed = development + client["project"]["dependencies"] + client["build-system"]["requires"]
    assert not_pinned(needed, read_pins("dev.txt")) == []


@pytest.mark.parametrize("name", ["runtime.txt", "build.txt"])
def test_development_uses_the_versions_that_are_shipped(name: str) -> None:
    development = read_pins("dev.txt")
    assert {
        each: versions for each, versions in read_pins(name).items() if development.get(each) != versions
    } == {}


@pytest.mark.parametrize("name", ["runtime.txt", "gpu.txt", "build.txt", "dev.txt", "clusters.txt"])
def test_every_pin_is_hashed(name: str) -> None:
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
    blocks = re.split(r"\n(?=\S)", text.strip())
    assert [block for block in blocks if "==" not in block or "--hash=sha256:" not in block] == []


def test_the_changelog_has_this_version() -> None:
    assert f"## [{layerscope.__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_citation_has_what_the_format_requires() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert cited.keys() >= {"cff-version", "message", "title", "authors"}
    assert cited["version"] == layerscope.__version__


def test_every_row_of_the_robustness_page_has_tests_or_a_reason() -> None:
    page = (ROOT / "docs" / "explanation" / "robustness.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| \*\*([AHIMR]\d\d)\*\* \|.*\| (.*) \|$", page, re.MULTILINE))
    named = {
        found.upper(): path
        for path in (ROOT / "tests").rglob("test_*.py")
        for found in re.findall(r"^def test_([ahimr]\d\d)_", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert len(rows) > 30
    assert named.keys() <= rows.keys()
    for row, tests in rows.items():
        files = re.findall(r"\]\(\.\./\.\./([^)]+)\)", tests)
        assert files or tests.startswith("not met: "), row
        for file in files:
            assert f"def test_{row.lower()}_" in (ROOT / file).read_text(encoding="utf-8"), (row, file)


def test_the_ci_script_can_be_run() -> None:
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
