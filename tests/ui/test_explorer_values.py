"""The explorer shows the values and colours of the service."""

import io
from pathlib import Path

import numpy as np
import pytest
from explored_service import needs_chromium
from PIL import Image

from layerscope.demo import photos, samples
from layerscope_client import Client

pytestmark = needs_chromium

PIXELS = """selector => {
    const canvas = document.querySelector(selector);
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    return { width: canvas.width, height: canvas.height, data: Array.from(data) };
}"""


@pytest.mark.parametrize("palette", ["auto", "magma"])
@pytest.mark.parametrize(
    ("model", "layer", "channel", "sample"),
    [
        ("digits@1", "conv2", 5, samples()["seven"]),
        ("nested@1", "conv_2", 1, photos()["cat"]),
        ("patches@1", "mixed", 2, photos()["cat"]),
    ],
    ids=["digits", "nested", "patches"],
)
def test_colours_are_those_that_the_service_draws(
    visit, served, model: str, layer: str, channel: int, sample: Path, palette: str
) -> None:
    explorer = visit(f"#model={model}&layer={layer}&channel={channel}&palette={palette}")
    explorer.page.wait_for_selector(".enlarged")
    pixels = explorer.page.evaluate(PIXELS, ".enlarged")
    shown = np.array(pixels["data"], np.uint8).reshape(pixels["height"], pixels["width"], 4)[..., :3]
    client = Client(served.address).model(model)
    # The page gives a channel the palette of its layer, the service one that suits what it draws: the channel alone.
    whole = client.activations(sample, layers=layer)[layer]
    options = (
        {"centered": bool(whole.min() < 0 < whole.max())} if palette == "auto" else {"colormap": palette}
    )
    picture = client.feature_map(sample, layer=layer, channel=channel, **options)
    drawn = np.asarray(Image.open(io.BytesIO(picture.png)).convert("RGB"))
    # The browser divides in double precision, so that a value on the border of two colours may take the other.
    assert (shown == drawn).all(axis=2).mean() > 0.99
    assert np.abs(shown.astype(int) - drawn).max() < 12
