"""Draw the picture of the README with the service itself. Run it by hand when rendering changes."""

from pathlib import Path

from starlette.testclient import TestClient

from layerscope import demo
from layerscope_api.app import create_app
from layerscope_api.settings import Settings

IMAGES = Path(__file__).parent / "images"


def main() -> None:
    """Draw the feature maps of the demo model's first convolution for a seven."""
    png = demo.samples()["seven"].read_bytes()
    options = {"layer": "conv1", "columns": 8, "scale": 4, "gap": 4}
    with TestClient(create_app(Settings())) as client:
        answer = client.post(
            "/v1/models/digits/feature-map.png",
            params=options,
            content=png,
            headers={"Content-Type": "image/png"},
        )
    answer.raise_for_status()
    (IMAGES / "digits-conv1.png").write_bytes(answer.content)


if __name__ == "__main__":
    main()
