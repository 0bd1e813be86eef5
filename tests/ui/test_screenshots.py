"""The screenshots of the documentation show the explorer as it is: the same words, controls and links, whatever the numbers."""

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
from explored_service import needs_chromium

DOCS = Path(__file__).parents[2] / "docs"

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def screenshots() -> ModuleType:
    """The program that takes them."""
    sys.path.insert(0, str(DOCS))
    import screenshots

    sys.path.remove(str(DOCS))
    return screenshots


def words(text: str) -> list[str]:
    """The lines without digits: the last of them differ between processors."""
    return re.sub(r"[\d.,]+", "#", text).splitlines()


def test_they_show_the_explorer_as_it_is(screenshots: ModuleType) -> None:
    with screenshots.explorer_page() as (page, address):
        for name, view in screenshots.VIEWS.items():
            kept = (DOCS / "images" / f"{name}.aria.yaml").read_text("utf-8")
            assert words(screenshots.show(page, address, view)) == words(kept), (
                "Run make screenshots, and look at them."
            )
