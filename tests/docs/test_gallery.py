"""The pictures of the gallery are what the service draws, and the page shows all of them."""

import importlib.util
import io
import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from layerscope import demo
from layerscope.models.mirrors import DEMO
from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app

pytestmark = pytest.mark.wide

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def gallery() -> ModuleType:
    """The module beside the page."""
    found = importlib.util.spec_from_file_location("gallery", DOCS / "gallery.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def pixels(file: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(file)).convert("RGB"), np.float64)


def test_the_page_shows_every_picture(gallery: ModuleType) -> None:
    shown = set(
        re.findall(r"\]\(\.\./images/(.*?)\)", (DOCS / "reference" / "gallery.md").read_text("utf-8"))
    )
    every = (
        *gallery.DEMO,
        *gallery.DEMO_REASONS,
        *gallery.DEMO_EDITS,
        *gallery.PHOTOS,
        *gallery.OTHERS,
        *gallery.OTHERS_REASONS,
    )
    assert shown == {each.file for each in every}
    kept = {f"gallery/{path.name}" for path in (DOCS / "images" / "gallery").iterdir()}
    assert kept <= shown


def test_the_demo_models_pictures_are_drawn_anew(gallery: ModuleType) -> None:
    """But for rounding, which is another on other processors."""
    photos = demo.samples() | demo.photos()
    with TestClient(create_app(Settings(models=DEMO)), base_url=gallery.LOCAL) as http:
        for each in (*gallery.DEMO, *gallery.DEMO_REASONS, *gallery.DEMO_EDITS, *gallery.PHOTOS):
            url, content = f"/v1/models/{each.model}/{each.resource}", photos[each.image].read_bytes()
            answer = http.post(
                url,
                params=each.options,
                content=content,
                headers={"Content-Type": "application/octet-stream"},
            )
            drawn, kept = pixels(answer.content), pixels((DOCS / "images" / each.file).read_bytes())
            assert drawn.shape == kept.shape, each.file
            assert np.abs(drawn - kept).mean() < 1, each.file


def test_the_first_picture_of_the_readme_is_made_of_those_of_the_gallery(gallery: ModuleType) -> None:
    kept = pixels((DOCS / "images" / gallery.ROW).read_bytes())
    np.testing.assert_array_equal(np.asarray(gallery.row()), kept)
    assert f"docs/images/{gallery.ROW}" in (DOCS.parent / "README.md").read_text("utf-8")
