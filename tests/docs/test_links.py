"""Every link between the pages, the README and other Markdown files leads to a file, and to a heading of it."""

import re
import subprocess
from functools import cache
from pathlib import Path
from urllib.parse import urldefrag

import pytest

ROOT = Path(__file__).parents[2]
LISTED = subprocess.run(
    ["git", "-c", "safe.directory=*", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
    cwd=ROOT,
    check=True,
    capture_output=True,
    text=True,
).stdout.split()
PAGES = [name for name in sorted(set(LISTED)) if (ROOT / name).is_file()]


@cache
def text_of(page: Path) -> str:
    """The text without code blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)


@cache
def anchors(page: Path) -> set[str]:
    """The fragments of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", text_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def leads_somewhere(page: Path, link: str) -> bool:
    path, fragment = urldefrag(link)
    target = page.parent / path if path else page
    return target.exists() and (not fragment or target.suffix != ".md" or fragment in anchors(target))


def test_there_are_pages() -> None:
    assert {"README.md", "SECURITY.md", "docs/explanation/architecture.md"} <= set(PAGES)


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str) -> None:
    page = ROOT / name
    links = re.findall(r"\]\((?![a-z]+:)([^)\s]+)\)", text_of(page))
    assert [link for link in links if not leads_somewhere(page, link)] == []
