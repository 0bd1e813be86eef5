"""Demo models: small networks that classify handwritten digits and sentences, sample images of digits, and three photographs.

`MODELS` is an ordinary model directory with one model, `digits` version 1, which maps grey images of 28x28 pixels, white on
black, to ten probabilities. `examples/train_demo_model.py` made the files; the samples are digits that it was not trained on.

`PHOTO_MODEL` declares the model `photos`, EfficientNet-Lite0, which tells the 1,000 classes of ImageNet. Its weights are in a
package of their own, where `layerscope.models.mirrors.demo` finds them.

`TEXT_MODEL` has the model `sentences`, which tells whether a sentence of Python's documentation is about numbers, strings, classes
or control flow. `examples/train_text_model.py` made its files.
"""

from pathlib import Path

__all__ = ["MODELS", "PHOTOS", "PHOTO_MODEL", "SAMPLES", "TEXT_MODEL", "photos", "samples"]

MODELS: Path = Path(__file__).with_name("models")
"""The model directory: `digits/1/model.keras` and its `layerscope.json`."""

SAMPLES: Path = Path(__file__).with_name("samples")
"""The folder of sample images: 28x28 grey PNG, white on black."""

PHOTOS: Path = Path(__file__).with_name("photos")
"""The folder of photographs: RGB JPEG of at most 360x360 pixels; its `LICENSE` says who made them."""

PHOTO_MODEL: Path = Path(__file__).with_name("photo_model")
"""The folder with the `layerscope.json` of the model `photos`."""

TEXT_MODEL: Path = Path(__file__).with_name("text_model")
"""The folder of the model `sentences`: `model.keras`, `tokenizer.json` and `layerscope.json`."""

_NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def samples() -> dict[str, Path]:
    """The sample images by the name of their digit, `zero` to `nine` in that order.

    Returns:
        One PNG file per digit; its position in the dictionary is its class.
    """
    return {name: SAMPLES / f"{name}.png" for name in _NAMES}


def photos() -> dict[str, Path]:
    """The photographs by name: `cat`, `cup` and `rocket`, one JPEG file each."""
    return {name: PHOTOS / f"{name}.jpg" for name in ("cat", "cup", "rocket")}
