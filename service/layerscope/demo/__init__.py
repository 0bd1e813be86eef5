"""The model that ships: a small network that reads handwritten digits, and one picture of each digit.

`MODELS` is an ordinary model directory with one model, `digits` version 1: 28x28 grey images, white on black,
to ten probabilities. The files are made by `examples/train_demo_model.py`; the pictures come from the digits it
never trains on.
"""

from pathlib import Path

__all__ = ["MODELS", "SAMPLES", "samples"]

MODELS: Path = Path(__file__).with_name("models")
"""The model directory: `digits/1/model.keras` and its `layerscope.json`."""

SAMPLES: Path = Path(__file__).with_name("samples")
"""The folder of sample images: 28x28 grey PNG, white on black."""

_NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def samples() -> dict[str, Path]:
    """The sample images by the name of their digit, `zero` to `nine` in that order.

    Returns:
        One PNG file a digit; the position in the dictionary is the model's class.
    """
    return {name: SAMPLES / f"{name}.png" for name in _NAMES}
