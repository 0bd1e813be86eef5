"""Build the site of the documentation into `build/docs/site`: run `make docs`.

The pages are put together in `build/docs/pages`: what is in `docs/`, without its programs, and with links that leave the folder
turned into links to the repository. Then zensical builds the site, and fails at a link that leads nowhere. No file of the site
may come from elsewhere: a reader needs no network, and nobody learns what is read.
"""

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
ROOT = DOCS.parent
BUILD = ROOT / "build" / "docs"
PAGES, SITE = BUILD / "pages", BUILD / "site"
CONFIG = DOCS / "zensical.toml"
REPOSITORY = "https://github.com/layerscope/layerscope"

_PROGRAMS = shutil.ignore_patterns("*.py", "*.toml", "*.aria.yaml", "__pycache__")
_LINK = re.compile(r"(?<=\]\()(?![a-z]+:)([^)\s#]+)")
_LOADED = re.compile(
    r"<(?:script|img|iframe|source|video|audio)\b[^>]*\bsrc=[\"']?((?:https?:)?//[^\"' >]+)"
    r"|<link\b(?=[^>]*\brel=[\"']?(?:stylesheet|preload|preconnect|icon))[^>]*\bhref=[\"']?((?:https?:)?//[^\"' >]+)"
    r"|url\([\"']?((?:https?:)?//[^\"')]+)|@import\s+[\"']((?:https?:)?//[^\"']+)"
)
"""What a browser loads from elsewhere to show a page; links that a reader may follow are none of it."""


def main() -> None:
    """Put the pages together, build the site and check it."""
    put_together()
    navigation = tomllib.loads(CONFIG.read_text("utf-8"))["project"]["nav"]
    if unlisted := {page.relative_to(PAGES).as_posix() for page in PAGES.rglob("*.md")} ^ listed(navigation):
        sys.exit(
            f"Pages that are in docs/ or in the navigation of {CONFIG.name} only: {', '.join(sorted(unlisted))}"
        )
    command = [Path(sys.executable).with_name("zensical"), "build", "--strict", "--clean"]
    if code := subprocess.run(command, cwd=BUILD, check=False).returncode:  # noqa: S603 - nothing of it comes from elsewhere
        sys.exit(code)
    if found := sorted(loaded_from_elsewhere()):
        sys.exit("The site loads files from elsewhere:\n" + "\n".join(found))


def put_together() -> None:
    """Write the pages as the site has them."""
    shutil.rmtree(BUILD, ignore_errors=True)
    shutil.copytree(DOCS, PAGES, ignore=_PROGRAMS)
    shutil.copy(CONFIG, BUILD)
    for page in DOCS.rglob("*.md"):
        (PAGES / page.relative_to(DOCS)).write_text(text_of(page), "utf-8")


def text_of(page: Path) -> str:
    """The text of a page, in which links that leave `docs/` lead to the repository."""

    def outside(link: re.Match[str]) -> str:
        target = (page.parent / link[1]).resolve()
        if target.is_relative_to(DOCS):
            return link[1]
        return (
            f"{REPOSITORY}/{'tree' if target.is_dir() else 'blob'}/main/{target.relative_to(ROOT).as_posix()}"
        )

    return _LINK.sub(outside, page.read_text("utf-8"))


def listed(nav: list[dict[str, Any]]) -> set[str]:
    """The pages of a navigation."""
    found: set[str] = set()
    for entry in nav:
        for target in entry.values():
            found |= {target} if isinstance(target, str) else listed(target)
    return found


def loaded_from_elsewhere() -> Iterator[str]:
    """Files of other places that pages and style sheets load, each with who loads it."""
    for file in (*SITE.rglob("*.html"), *SITE.rglob("*.css")):
        for groups in _LOADED.findall(file.read_text("utf-8")):
            yield f"{file.relative_to(SITE)}: {next(filter(None, groups))}"


if __name__ == "__main__":
    main()
