"""The site of the documentation: what leaves `docs/` leads to the repository, and nothing is loaded from elsewhere."""

import sys
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def build_site() -> ModuleType:
    """The program beside the pages."""
    sys.path.insert(0, str(DOCS))
    import build_site

    sys.path.remove(str(DOCS))
    return build_site


def test_links_that_leave_the_pages_lead_to_the_repository(build_site: ModuleType) -> None:
    text = build_site.text_of(DOCS / "explanation" / "robustness.md")
    assert "](../../tests/" not in text
    assert f"]({build_site.REPOSITORY}/blob/main/tests/" in text
    assert "](architecture.md#long-runs)" in text


@pytest.mark.parametrize(
    "text",
    [
        '<script src="https://example.org/a.js"></script>',
        "<img alt=a src=//example.org/a.png>",
        '<link rel="stylesheet" href="https://example.org/a.css">',
        "<style>@font-face { src: url(https://example.org/a.woff2) }</style>",
    ],
)
def test_what_is_loaded_from_elsewhere_is_found(
    build_site: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str
) -> None:
    monkeypatch.setattr(build_site, "SITE", tmp_path)
    (tmp_path / "page.html").write_text(f'<a href="https://example.org">a link</a>{text}')
    (found,) = build_site.loaded_from_elsewhere()
    assert found.startswith("page.html: ")
    assert "example.org/a." in found


def test_links_and_own_files_are_not(
    build_site: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(build_site, "SITE", tmp_path)
    (tmp_path / "page.html").write_text(
        '<link rel="canonical" href="https://example.org/"><a href="https://example.org">a</a><script src="a.js"></script>'
    )
    assert list(build_site.loaded_from_elsewhere()) == []
