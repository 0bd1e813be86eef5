"""Draw the pictures of the README with the service itself. Run it by hand when rendering changes."""

from pathlib import Path

from starlette.testclient import TestClient

from layerscope import demo
from layerscope_api.app import create_app
from layerscope_api.settings import Settings

IMAGES = Path(__file__).parent / "images"


def main() -> None:
    """Draw the feature maps of the demo model's first two convolutions for a seven."""
    png = demo.samples()["seven"].read_bytes()
    with TestClient(create_app(Settings())) as client:
        for layer, scale in (("conv1", 4), ("conv2", 8)):
            options = {"layer": layer, "columns": 8, "scale": scale, "gap": 4}
            answer = client.post(
                "/v1/models/digits/feature-map.png",
                params=options,
                content=png,
                headers={"Content-Type": "image/png"},
            )
            answer.raise_for_status()
            (IMAGES / f"digits-{layer}.png").write_bytes(answer.content)


if __name__ == "__main__":
    main()
