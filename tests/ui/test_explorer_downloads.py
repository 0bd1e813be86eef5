"""Downloads of the explorer contain what it shows."""

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest
from explored_models import HOSTILE_LAYERS
from explored_service import Visit, needs_chromium
from PIL import Image

from layerscope.demo import samples

pytestmark = [needs_chromium, pytest.mark.wide]

NODE = Path(sys.executable).with_name("node")
JAVASCRIPT_CLIENT = Path(__file__).parents[2] / "clients" / "js"

OFFERED = {
    "maps": 2,
    "maps&channel=3&palette=magma&normalize=own&range=0,2": 2,
    "statistics": 2,
    "heat&target=7": 2,
    "compare&normalize=layer": 4,
    "graph": 2,
    "whatif": 2,
    "why&at=layer&target=7": 2,
    "why&at=layer&target=7&channel=3": 2,
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


@pytest.mark.parametrize("layer", HOSTILE_LAYERS)
def test_m09_no_name_of_a_layer_runs_when_a_snippet_does(
    visit, layer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    explorer = visit("#" + urlencode({"model": "hostile@1", "layer": layer})).shows(layer)
    explorer.page.click("#downloads summary")
    explorer.page.wait_for_selector("#downloads-body pre")
    curl, python, javascript = explorer.page.locator("#downloads-body pre").all_text_contents()
    assert (curl + python + javascript).replace("\n", "").isprintable()

    monkeypatch.chdir(tmp_path)
    Path("image.png").write_bytes(samples()["seven"].read_bytes())
    names: dict[str, Any] = {}
    exec(python, names)  # noqa: S102 - what it says is tested
    assert names["values"].shape == (1, 8, 8, 2)
    drawn = pixels(Path("picture.png").read_bytes())

    subprocess.run(["/bin/sh", "-c", f"{curl} --silent --fail"], check=True, timeout=60)
    assert pixels(Path("picture.png").read_bytes()) == drawn

    write_javascript(tmp_path, javascript)
    shown = subprocess.run([NODE, "snippet.js"], check=True, timeout=60, capture_output=True).stdout
    assert pixels(shown) == drawn
    assert not list(tmp_path.glob("ran*"))


def write_javascript(folder: Path, snippet: str) -> None:
    """Write a snippet as a program, for which `file` is a picture, and which writes the picture that it got."""
    modules = folder / "node_modules"
    modules.mkdir()
    (modules / "layerscope-client").symlink_to(JAVASCRIPT_CLIENT)
    given = 'import { readFileSync, writeSync } from "node:fs";\nconst file = new Blob([readFileSync("image.png")], { type: "image/png" });'
    answered = "writeSync(1, Buffer.from(await blob.arrayBuffer()));"
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "snippet.js").write_text(f"{given}\n{snippet}\n{answered}\n")
