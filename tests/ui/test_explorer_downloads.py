"""Downloads of the explorer contain what it shows."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from explored_service import Visit, needs_chromium
from PIL import Image

from layerscope.demo import samples

pytestmark = needs_chromium

OFFERED = {
    "maps": 2,
    "maps&channel=3&palette=magma&normalize=own&range=0,2": 2,
    "statistics": 2,
    "heat&target=7": 2,
    "compare&normalize=layer": 4,
    "graph": 2,
}


def taken(explorer: Visit, place: int) -> tuple[str, bytes]:
    """Press a button of the menu, and read the file that is saved."""
    with explorer.page.expect_download() as download:
        explorer.page.click(f"#downloads-body p:first-child button >> nth={place}")
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()


def pixels(png: bytes) -> bytes:
    return Image.open(io.BytesIO(png)).convert("RGB").tobytes()


@pytest.mark.parametrize("view", OFFERED)
def test_every_view_is_saved_and_its_request_gives_the_same(
    visit, view: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    explorer = visit(f"#model=digits@1&layer=conv2&view={view}").shows("conv2")
    explorer.page.click("#downloads summary")
    explorer.page.wait_for_selector("#downloads-body pre")
    assert explorer.page.locator("#downloads-body p:first-child button").count() == OFFERED[view]
    (picture, drawn), (numbers, values) = taken(explorer, 0), taken(explorer, 1)
    if numbers.endswith(".npy"):
        assert np.load(io.BytesIO(values)).size > 0
    else:
        assert json.loads(values)
    monkeypatch.chdir(tmp_path)
    Path("image.png").write_bytes(samples()["seven"].read_bytes())
    names: dict[str, object] = {}
    exec(explorer.page.locator("#downloads-body pre").nth(1).inner_text(), names)  # noqa: S102 - what it says is tested
    if picture.endswith(".svg"):
        assert b"conv2" in drawn
    else:
        saved = Path("picture.png").read_bytes() if Path("picture.png").exists() else b""
        assert "answer" in names or pixels(saved) == pixels(drawn)
