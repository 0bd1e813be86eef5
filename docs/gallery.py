"""Draw the pictures of the gallery with the service itself: `make gallery`, after rendering changes.

With a directory of models and photos of others, which has `models/` and `images/`, theirs are drawn again too. What
is written beside the pictures is written by `make generate`.
"""

import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from layerscope import demo
from layerscope_api.app import create_app
from layerscope_api.settings import Settings

IMAGES = Path(__file__).parent / "images"
LOCAL = "http://127.0.0.1:8000"


@dataclass(frozen=True)
class Drawn:
    """A picture: where it is kept, what it shows, and the request that draws it."""

    file: str
    words: str
    model: str
    image: str
    resource: str
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def request(self) -> str:
        """The request, as it stands in the page."""
        options = "&".join(f"{name}={value}" for name, value in self.options.items())
        return f"{self.model}/{self.resource}?{options}"


def _maps(file: str, words: str, model: str, image: str, **options: Any) -> Drawn:
    return Drawn(f"{file}.png", words, model, image, "feature-map.png", options)


def _over(file: str, words: str, model: str, image: str, **options: Any) -> Drawn:
    return Drawn(f"{file}.png", words, model, image, "overlay.png", options)


DEMO = [
    _maps("digits-conv1", "All channels of a convolution, each with its own range of values.", "digits", "seven",
         layer="conv1", columns=8, scale=4, gap=4),
    _maps("gallery/channel", "One channel, with what its colours mean.", "digits", "seven",
         layer="conv1", channel=1, scale=8, colorbar="true"),
    _maps("gallery/layer", "The four channels of largest mean magnitude, with one range for all.", "digits", "seven",
         layer="conv2", channels="top:4", normalize="layer", columns=4, scale=8, gap=8, labels="true", colorbar="true"),
    _maps("gallery/layers", "Three layers, with one range for all of them: the later ones answer more strongly.", "digits", "seven",
         layer="conv*", channels="0-7", range="shared", columns=8, scale=3, gap=6, labels="true", colorbar="true"),
    _maps("gallery/diverging", "Before the activation function values have both signs: zero is the middle of the colours.",
         "digits", "three", layer="conv2@preactivation", channels="0-7", columns=4, scale=6, gap=6, labels="true",
         colorbar="true"),
    _maps("gallery/percentile", "The same layer, its outermost values clipped, in another colormap.", "digits", "three",
         layer="conv2@preactivation", channels="0-7", columns=4, scale=6, gap=6, percentile="2,98", colormap="magma"),
    _maps("gallery/vector", "A vector is a strip.", "digits", "seven", layer="dense", scale=16),
    _over("gallery/overlay", "The mean magnitude of a layer over the digit, enlarged.", "digits", "seven",
         layer="conv3", scale=8, colormap="inferno", colorbar="true"),
    _over("gallery/nearest", "One channel of it, each value where it is.", "digits", "seven",
         layer="conv3", channel=3, interpolation="nearest", scale=8, colormap="inferno"),
]  # fmt: skip

OTHERS = [
    _maps("gallery/mobilenet-early", "An early layer of a MobileNetV2 of 2019, of a photo of a cat.", "mobilenet", "chelsea",
         layer="Conv1_relu", channels="top:8", columns=4, gap=4),
    _over("gallery/mobilenet-early-overlay", "A channel of it over the photo as it was sent: the colours end where the model sees nothing.",
         "mobilenet", "chelsea", layer="Conv1_relu", channel=9, alpha=0.6, colormap="inferno"),
    _over("gallery/mobilenet-late-overlay", "The mean magnitude of a late layer, over what the model saw.",
         "mobilenet", "chelsea", layer="block_13_expand_relu", on="input", colormap="inferno", colorbar="true"),
    _over("gallery/coffee", "The same layer, of another photo.",
         "mobilenet", "coffee", layer="block_13_expand_relu", on="input", colormap="inferno", colorbar="true"),
    _maps("gallery/emotions", "A convolution of a network for faces, from a file of Keras 2.0.", "emotions", "astronaut",
         layer="activation_1", channels="all", columns=4, scale=2, gap=4, labels="true"),
]  # fmt: skip

DECLARED: dict[str, tuple[str, dict[str, Any]]] = {
    "mobilenet": ("nsfwjs_mobilenet_v2_legacy.h5", {"preprocessing": {"preset": "unit", "resize": "crop"}}),
    "emotions": ("fer_emotion_keras2.0.hdf5", {"preprocessing": {"preset": "signed"}}),
}
"""By the name in the page, the file of a model of others, and what is declared with it."""

_THEIRS = (
    "The models are those of nsfwjs 4.3.0 and of fer 25.10.3 (both MIT licence); the photos, in the public domain,"
    " come with scikit-image 0.26."
)


def page() -> Iterator[str]:
    """The lines of the page: every picture that is there."""
    yield "# Gallery\n"
    yield "Each picture is what the service answers to the request above it; `make gallery` draws them."
    yield "All options are in [options](options.md).\n"
    yield "## The demo model\n"
    yield from _entries(DEMO)
    yield "## Models of others\n"
    yield f"{_THEIRS}\n"
    yield from _entries(OTHERS)


def _entries(pictures: Sequence[Drawn]) -> Iterator[str]:
    for each in pictures:
        if (IMAGES / each.file).is_file():
            yield f"{each.words}\n"
            yield f"`{each.request}`\n"
            yield f"![{each.words}](images/{each.file})\n"


def main() -> None:
    """Draw the demo model's pictures, and those of a directory if one is given."""
    _draw(DEMO, demo.MODELS, demo.samples())
    if len(sys.argv) > 1:
        theirs = Path(sys.argv[1])
        photos = {path.stem: path for path in (theirs / "images").glob("*.png")}
        with _model_directory(theirs / "models") as models:
            _draw(OTHERS, models, photos)


def _draw(pictures: Sequence[Drawn], models: Path, photos: Mapping[str, Path]) -> None:
    with TestClient(create_app(Settings(models=models)), base_url=LOCAL) as http:
        for each in pictures:
            answer = http.post(
                f"/v1/models/{each.model}/{each.resource}",
                params=each.options,
                content=photos[each.image].read_bytes(),
                headers={"Content-Type": "image/png"},
            )
            answer.raise_for_status()
            (IMAGES / each.file).parent.mkdir(exist_ok=True)
            (IMAGES / each.file).write_bytes(answer.content)


@contextmanager
def _model_directory(files: Path) -> Iterator[Path]:
    """The models of others as the service wants them, with what is declared."""
    with tempfile.TemporaryDirectory() as directory:
        for name, (file, declaration) in DECLARED.items():
            folder = Path(directory, name, "1")
            folder.mkdir(parents=True)
            (folder / f"model{Path(file).suffix}").symlink_to(files / file)
            (folder / "layerscope.json").write_text(json.dumps(declaration), "utf-8")
        yield Path(directory)


if __name__ == "__main__":
    main()
