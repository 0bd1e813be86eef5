"""The pages on the architecture and on contributing name files, folders and names that there are."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "docs" / "explanation" / "architecture.md", ROOT / "CONTRIBUTING.md")
ROOTS = (
    ROOT,
    ROOT / "service",
    ROOT / "service" / "layerscope",
    ROOT / "api",
    ROOT / "api" / "layerscope_api",
)
SOURCE = "\n".join(
    file.read_text("utf-8") for folder in ("service", "api") for file in (ROOT / folder).rglob("*.py")
)

NOT_OURS = {"build/screenshots/", "RssShmem"}
"""A folder that tests write, and a field of Linux."""


def quoted(page: Path) -> list[str]:
    """What is written as code, without the blocks."""
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    return [each for each in re.findall(r"`([^`\n]+)`", text) if each not in NOT_OURS]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_and_folders_exist(page: Path) -> None:
    paths = [each for each in quoted(page) if re.fullmatch(r"[a-z_]+(/[a-z0-9_]*)+(\.\w+)?", each)]
    assert paths
    assert [each for each in paths if not any((root / each).exists() for root in ROOTS)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_single_modules_exist(page: Path) -> None:
    modules = {each for each in quoted(page) if re.fullmatch(r"\w+\.py", each)}
    names = {file.name for folder in ("service", "api") for file in (ROOT / folder).rglob("*.py")}
    assert modules <= names


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_classes_exist(page: Path) -> None:
    classes = {each for each in quoted(page) if re.fullmatch(r"([A-Z][a-z]+){2,}", each)}
    assert [each for each in classes if f"class {each}" not in SOURCE] == []
