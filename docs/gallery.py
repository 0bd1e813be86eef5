"""Draw the pictures of the gallery with the service itself: run `make gallery` after rendering changes.

With a directory of third-party models and photos (`models/` and `images/`), their pictures are drawn again, too. The text
beside the pictures is written by `make generate`.
"""

import io
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image
from starlette.testclient import TestClient

from layerscope import demo
from layerscope.models import mirrors
from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app

IMAGES = Path(__file__).parent / "images"
LOCAL = "http://127.0.0.1:8000"


@dataclass(frozen=True)
class Drawn:
    """Picture of the gallery: its file, its caption, and the request that draws it."""

    file: str
    words: str
    model: str
    image: str
    resource: str
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def request(self) -> str:
        """Text of the request, as the page shows it."""
        options = "&".join(f"{name}={value}" for name, value in self.options.items())
        return f"{self.model}/{self.resource}?{options}"


def _maps(file: str, words: str, model: str, image: str, **options: Any) -> Drawn:
    return Drawn(f"{file}.png", words, model, image, "feature-map.png", options)


def _over(file: str, words: str, model: str, image: str, **options: Any) -> Drawn:
    return Drawn(f"{file}.png", words, model, image, "overlay.png", options)


def _heat(file: str, words: str, model: str, image: str, method: str, **options: Any) -> Drawn:
    return Drawn(f"gallery/{file}.png", words, model, image, f"attributions/{method}.png", options)


DEMO = [
    _maps("digits-conv1", "All channels of a convolution, each with its own range of values.", "digits", "seven",
         layer="conv1", columns=8, scale=4, gap=4),
    _maps("gallery/channel", "One channel, with a colour bar.", "digits", "seven",
         layer="conv1", channel=1, scale=8, colorbar="true"),
    _maps("gallery/layer", "The four channels of largest mean magnitude, with one range for all.", "digits", "seven",
         layer="conv2", channels="top:4", normalize="layer", columns=4, scale=8, gap=8, labels="true", colorbar="true"),
    _maps("gallery/layers", "Three layers, with one range for all of them: the later layers have larger activations.", "digits", "seven",
         layer="conv*", channels="0-7", range="shared", columns=8, scale=3, gap=6, labels="true", colorbar="true"),
    _maps("gallery/diverging", "Before the activation function values have both signs: zero is the middle of the colours.",
         "digits", "three", layer="conv2@preactivation", channels="0-7", columns=4, scale=6, gap=6, labels="true",
         colorbar="true"),
    _maps("gallery/percentile", "The same layer in another colormap, with its outermost values clipped.", "digits", "three",
         layer="conv2@preactivation", channels="0-7", columns=4, scale=6, gap=6, percentile="2,98", colormap="magma"),
    _maps("gallery/vector", "The activations of a dense layer: a vector is drawn as a strip.", "digits", "seven", layer="dense", scale=16),
    _over("gallery/overlay", "The mean magnitude of a layer over the digit, enlarged.", "digits", "seven",
         layer="conv3", scale=8, colormap="inferno", colorbar="true"),
    _over("gallery/nearest", "One channel of the same layer, without interpolation.", "digits", "seven",
         layer="conv3", channel=3, interpolation="nearest", scale=8, colormap="inferno"),
]  # fmt: skip

DEMO_EDITS = [
    Drawn("gallery/seven-change.png", "What two channels of a convolution change in the next one: less where it is blue.", "digits",
          "seven", "feature-map.png", {"layer": "conv3", "edit": "conv2;channels=1,12;set=0", "change": "true", "columns": 8,
                                       "scale": 6, "gap": 4, "labels": "true", "colorbar": "true"}),
    Drawn("gallery/seven-sweep-conv3.png", "What a seven loses without each channel of the last convolution.", "digits", "seven",
          "ablations.png", {"layer": "conv3"}),
    Drawn("gallery/seven-sweep-dense.png", "The same for the dense layer: few units carry the class.", "digits", "seven",
          "ablations.png", {"layer": "dense", "top": 12}),
    Drawn("gallery/seven-sweep-places.png", "The same for places of an early layer, over the image.", "digits", "seven",
          "ablations.png", {"layer": "conv2", "by": "place", "grid": 14, "scale": 8, "colorbar": "true"}),
]  # fmt: skip

_SEVEN: dict[str, Any] = {"scale": 6, "colorbar": "true"}

DEMO_REASONS = [
    _heat("seven-gradcam", "Grad-CAM: the places of the last convolution that speak for a seven.", "digits", "seven",
          "gradcam", **_SEVEN),
    _heat("seven-gradcam-one", "Grad-CAM for the class one: the parts of this seven that could belong to a one.", "digits", "seven",
          "gradcam", target=1, **_SEVEN),
    _heat("seven-gradcam-plus-plus", "Grad-CAM++.", "digits", "seven", "gradcam++", **_SEVEN),
    _heat("seven-hirescam", "HiResCAM: the contribution of each place to the score, for and against.", "digits", "seven",
          "hirescam", **_SEVEN),
    _heat("seven-layercam", "LayerCAM, over an earlier and finer layer.", "digits", "seven",
          "layercam", layer="conv2", **_SEVEN),
    _heat("seven-eigencam", "EigenCAM: the strongest component of the layer, whatever the class.", "digits", "seven",
          "eigencam", **_SEVEN),
    _heat("seven-scorecam", "Score-CAM: no gradients, but one run for each channel.", "digits", "seven", "scorecam", **_SEVEN),
    _heat("seven-saliency", "Saliency: the pixels whose change would change the score most.", "digits", "seven",
          "saliency", **_SEVEN),
    _heat("seven-smoothgrad", "SmoothGrad: the same, over noisy versions of the image.", "digits", "seven",
          "smoothgrad", **_SEVEN),
    _heat("seven-integrated-gradients", "Integrated gradients: the share of each pixel in the score, for and against.",
          "digits", "seven", "integrated-gradients", **_SEVEN),
    _heat("seven-guided-saliency", "Guided saliency: sharp, and closer to edges than to reasons.", "digits", "seven",
          "guided-saliency", **_SEVEN),
    _heat("seven-occlusion", "Occlusion: the loss of probability where a black patch covers the image.", "digits", "seven",
          "occlusion", patch=6,
        stride=1, baseline="black", **_SEVEN),
]  # fmt: skip

_CUP = ("photos", "cup")

PHOTOS = [
    _maps("gallery/cup-early", "Edges, in the second block of EfficientNet-Lite0.", *_CUP, layer="block2a_expand_activation",
         channel=20, scale=2),
    _maps("gallery/cup-middle", "Rims, in the third block.", *_CUP, layer="block3b_expand_activation", channel=109, scale=8),
    _maps("gallery/cup-late", "Coffee and spoon, in the fifth block.", *_CUP, layer="block5b_expand_activation", channel=203, scale=16),
    _heat("cup-gradcam", "Grad-CAM: what speaks for espresso.", *_CUP, "gradcam"),
    _maps("gallery/cup-layer", "The 24 channels of largest mean magnitude of an early layer.", *_CUP,
         layer="block2a_expand_activation", channels="top:24", columns=8, gap=4, labels="true"),
]  # fmt: skip

ROW = "photo-layers.png"
"""The first picture of the README: a photograph, and the first four pictures of it."""

OTHERS = [
    _maps("gallery/mobilenet-early", "An early layer of a MobileNetV2 of 2019, for a photo of a cat.", "mobilenet", "chelsea",
         layer="Conv1_relu", channels="top:8", columns=4, gap=4),
    _over("gallery/mobilenet-early-overlay", "One channel of it over the original photo: the colours end where the input of the model ends.",
         "mobilenet", "chelsea", layer="Conv1_relu", channel=9, alpha=0.6, colormap="inferno"),
    _over("gallery/mobilenet-late-overlay", "The mean magnitude of a late layer, over the input of the model.",
         "mobilenet", "chelsea", layer="block_13_expand_relu", on="input", colormap="inferno", colorbar="true"),
    _over("gallery/coffee", "The same layer, for another photo.",
         "mobilenet", "coffee", layer="block_13_expand_relu", on="input", colormap="inferno", colorbar="true"),
    _maps("gallery/emotions", "A convolution of a network for faces, from a file of Keras 2.0.", "emotions", "astronaut",
         layer="activation_1", channels="all", columns=4, scale=2, gap=4, labels="true"),
]  # fmt: skip

_ON_INPUT: dict[str, Any] = {"on": "input", "colorbar": "true"}

_PIXELS: dict[str, Any] = {"percentile": "1,99", "alpha": 0.8, "interpolation": "nearest"}
"""Few pixels have most of the range."""

OTHERS_REASONS = [
    *(
        _heat(f"cat-{method.replace('++', '-plus-plus')}", f"{title}.", "mobilenet", "chelsea", method, **_ON_INPUT, **options)
        for method, title, options in (
            ("gradcam", "Grad-CAM", {}),
            ("gradcam++", "Grad-CAM++", {}),
            ("hirescam", "HiResCAM", {}),
            ("layercam", "LayerCAM, of a layer in the middle", {"layer": "block_6_expand_relu"}),
            ("eigencam", "EigenCAM", {}),
            ("scorecam", "Score-CAM of the 128 channels that vary most", {"top": 128}),
            ("saliency", "Saliency", _PIXELS),
            ("smoothgrad", "SmoothGrad", _PIXELS),
            ("integrated-gradients", "Integrated gradients", _PIXELS),
            ("guided-saliency", "Guided saliency", _PIXELS),
            ("occlusion", "Occlusion", {}),
        )
    ),
    _heat("coffee-gradcam", "Grad-CAM of another photo, for the class of harmless photos.", "mobilenet", "coffee", "gradcam", **_ON_INPUT),
    _heat("face-gradcam", "Grad-CAM of a face, for the class happy.", "emotions", "face", "gradcam", target="happy", scale=2),
    _heat("face-occlusion", "The same, by occlusion.", "emotions", "face", "occlusion", target="happy", scale=2,
          stride=4, colorbar="true"),
]  # fmt: skip

DECLARED: dict[str, tuple[str, dict[str, Any]]] = {
    "mobilenet": ("nsfwjs_mobilenet_v2_legacy.h5", {"preprocessing": {"preset": "unit", "resize": "crop"}}),
    "emotions": (
        "fer_emotion_keras2.0.hdf5",
        {
            "preprocessing": {"preset": "signed"},
            "classes": ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"],
        },
    ),
}
"""File and declaration of each third-party model, by its name in the page."""

_THEIRS = (
    "The models are from nsfwjs 4.3.0 and fer 25.10.3 (both MIT licence). The photos are in the public domain and come"
    " with scikit-image 0.26."
)


def page() -> Iterator[str]:
    """Lines of the page `gallery.md`: every picture that exists."""
    yield "# Gallery\n"
    yield "Pictures that the service draws, each below its request. `make gallery` draws them again. [Options](options.md) lists\nall options.\n"
    yield "## The demo model\n"
    yield from _entries(DEMO)
    yield "## Attributions of the demo model\n"
    yield "[Attributions](../how-to/attributions.md) explains the methods, and how to read their maps.\n"
    yield from _entries(DEMO_REASONS)
    yield "## Edits of the demo model\n"
    yield "[Edits](../how-to/edits.md) change values inside, and [sweeps](../how-to/sweeps.md) take one unit after the other away.\n"
    yield from _entries(DEMO_EDITS)
    yield "## Photographs\n"
    yield "The model is the demo model `photos`, EfficientNet-Lite0 trained on ImageNet.\n"
    yield from _entries(PHOTOS)
    yield "## Third-party models\n"
    yield f"{_THEIRS}\n"
    yield from _entries(OTHERS)
    yield "## Attributions of third-party models\n"
    yield "The MobileNetV2 distinguishes five classes of drawings and photos. It classifies the cat as a harmless photo.\n"
    yield from _entries(OTHERS_REASONS)


def _entries(pictures: Sequence[Drawn]) -> Iterator[str]:
    for each in pictures:
        if (IMAGES / each.file).is_file():
            yield f"{each.words}\n"
            yield f"`{each.request}`\n"
            yield f"![{each.words}](../images/{each.file})\n"


def main() -> None:
    """Draw the pictures of the demo models, and those of third-party models if a directory is given."""
    _draw(
        [*DEMO, *DEMO_REASONS, *DEMO_EDITS, *PHOTOS],
        mirrors.DEMO,
        {name: path.read_bytes() for name, path in (demo.samples() | demo.photos()).items()},
    )
    row().save(IMAGES / ROW, optimize=True)
    if len(sys.argv) > 1:
        theirs = Path(sys.argv[1])
        photos = {path.stem: path.read_bytes() for path in (theirs / "images").glob("*.png")}
        with _model_directory(theirs / "models") as models:
            _draw([*OTHERS, *OTHERS_REASONS], models, {**photos, "face": _face(photos["astronaut"])})


def row() -> Image.Image:
    """The photograph and the pictures of it, one beside the other."""
    side, gap = 224, 8
    files = [demo.photos()["cup"], *(IMAGES / each.file for each in PHOTOS[:4])]
    whole = Image.new("RGB", (len(files) * (side + gap) - gap, side), "white")
    for place, file in enumerate(files):
        with Image.open(file) as picture:
            whole.paste(
                picture.convert("RGB").resize((side, side), Image.Resampling.LANCZOS),
                (place * (side + gap), 0),
            )
    return whole


def _face(astronaut: bytes) -> bytes:
    """Crop of the face in the photo, which is the input that the network for faces expects."""
    file = io.BytesIO()
    Image.open(io.BytesIO(astronaut)).crop((160, 40, 300, 180)).save(file, "PNG")
    return file.getvalue()


def _draw(pictures: Sequence[Drawn], models: Path | str, photos: Mapping[str, bytes]) -> None:
    with TestClient(create_app(Settings(models=models)), base_url=LOCAL) as http:
        for each in pictures:
            answer = http.post(
                f"/v1/models/{each.model}/{each.resource}",
                params=each.options,
                content=photos[each.image],
                headers={"Content-Type": "application/octet-stream"},
            )
            answer.raise_for_status()
            (IMAGES / each.file).parent.mkdir(exist_ok=True)
            (IMAGES / each.file).write_bytes(answer.content)


@contextmanager
def _model_directory(files: Path) -> Iterator[Path]:
    """Model directory with the third-party models and their declarations."""
    with tempfile.TemporaryDirectory() as directory:
        for name, (file, declaration) in DECLARED.items():
            folder = Path(directory, name, "1")
            folder.mkdir(parents=True)
            shutil.copyfile(files / file, folder / f"model{Path(file).suffix}")
            (folder / "layerscope.json").write_text(json.dumps(declaration), "utf-8")
        yield Path(directory)


if __name__ == "__main__":
    main()
