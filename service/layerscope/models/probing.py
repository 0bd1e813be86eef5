"""Try a model from a stranger: count what it would allocate before it does, and run it once."""

import json
import zipfile
from io import BytesIO
from math import prod
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np

from layerscope.errors import ModelRefused, ModelTooLarge, WeightsShapeMismatch
from layerscope.models.bounds import OpeningBounds
from layerscope.models.validation.archive import CONFIG, WEIGHTS

_UNSAID = 32
"""Length of an axis that may have any."""

_UNSTORED = 1_000_000
"""Numbers that layers have and keep nowhere, such as the matrices of spectrograms: at most so many."""


def require_held(path: Path, bounds: OpeningBounds) -> None:
    """Build a `.keras` file's layers without values, and compare their sizes with the file. Nothing is allocated.

    Raises:
        ModelTooLarge: they have more parameters than a model may have.
        WeightsShapeMismatch: they have more parameters than the file holds.
        ModelRefused: Keras cannot build them.
    """
    if path.suffix != ".keras":
        return
    implied, held = _implied(path), _held(path)
    if implied > bounds.parameters:
        raise ModelTooLarge(
            f"The model has {implied:,} parameters, and may have {bounds.parameters:,}.",
            size=implied,
            limit=bounds.parameters,
        )
    if implied > held + _UNSTORED:
        raise WeightsShapeMismatch(
            f"The model's layers have {implied:,} parameters, and its file holds {held:,}.",
            size=implied,
            stored=held,
        )


def _implied(path: Path) -> int:
    with zipfile.ZipFile(path) as file:
        config = json.loads(file.read(CONFIG))
    with keras.StatelessScope():
        try:
            model = keras.saving.deserialize_keras_object(config, safe_mode=True)
            return sum(prod(each.shape) for each in model.weights)
        except Exception as error:
            raise ModelRefused(
                "Keras cannot build the model from its configuration: save it again with Keras 3.",
                cause=type(error).__name__,
            ) from error
        finally:
            # At its end the scope would give every variable its first value.
            keras.utils.clear_session(free_memory=False)


def _held(path: Path) -> int:
    sizes: list[int] = []

    def count(_: str, each: Any) -> None:
        if isinstance(each, h5py.Dataset):
            sizes.append(prod(each.shape))

    # A member of an archive reads from its start again whenever HDF5 steps back.
    with zipfile.ZipFile(path) as archive:
        stored = BytesIO(archive.read(WEIGHTS))
    with h5py.File(stored, "r") as file:
        file.visititems(count)
    return sum(sizes)


def run_once(model: Any, inputs: list[tuple[tuple[int | None, ...], str]], pack: Any) -> None:
    """Run the model once on zeros.

    Args:
        model: the Keras model.
        inputs: shape without the batch axis and dtype of each.
        pack: makes positional and keyword arguments of one array an input.

    Raises:
        ModelRefused: it does not run, and the fault is not a size that nobody said.
    """
    try:
        arguments, keywords = pack([_zeros(shape, dtype) for shape, dtype in inputs])
        model(*arguments, **keywords)
    except Exception as error:
        if any(side is None for shape, _ in inputs for side in shape):
            return
        raise ModelRefused(
            "The model does not run on inputs of its own shape: try it where it was trained.",
            cause=type(error).__name__,
        ) from error


def _zeros(shape: tuple[int | None, ...], dtype: str) -> Any:
    """Of one image; Keras casts what numpy has no type for."""
    sides = (_UNSAID if side is None else side for side in shape)
    return np.zeros((1, *sides), dtype if dtype != "bfloat16" else "float32")
