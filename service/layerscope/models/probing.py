"""The probe of an untrusted model: its size is computed before anything is allocated, and it is run once.

The bounds of the process (`models.bounds`) would end it, too, but without a reason that its author could act on.
"""

import json
import logging
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from math import prod
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import tensorflow as tf

from layerscope.errors import ModelRefused, ModelTooLarge, WeightsShapeMismatch
from layerscope.models.bounds import OpeningBounds
from layerscope.models.keras2.versions import is_of_keras_2
from layerscope.models.opening_errors import cannot_open
from layerscope.models.validation.archive import CONFIG, WEIGHTS

logger = logging.getLogger(__name__)

_UNSAID = 32
"""The length used for an axis of any length."""

_UNSTORED = 1_000_000
"""The greatest number of parameters that layers build and do not store, such as the matrices of spectrograms."""


def require_held(path: Path, bounds: OpeningBounds) -> None:
    """Build the layers of a `.keras` file of Keras 3 without values, and compare their sizes with the file.

    Keras builds them in a `StatelessScope`, in which variables have shapes and no memory.

    Raises:
        ModelTooLarge: they have more parameters than a model may have.
        WeightsShapeMismatch: they have more parameters than the file holds.
        ModelRefused: Keras cannot build them.
    """
    if path.suffix == ".keras" and not is_of_keras_2(path):
        _require_few(_implied(path), _held(path), bounds)


@contextmanager
def variables_held(path: Path, bounds: OpeningBounds) -> Iterator[None]:
    """A context in which Keras 2 builds the layers of a file. Each weight is counted before it is allocated.

    Raises:
        ModelTooLarge: they have more parameters than a model may have.
        WeightsShapeMismatch: they have more parameters than the file holds.
    """
    if not is_of_keras_2(path):
        yield
        return
    held, implied = _held(path), 0
    refusals: list[ModelRefused] = []

    def counted(create: Any, **options: Any) -> Any:
        nonlocal implied
        implied += prod(options.get("shape") or ())
        try:
            _require_few(implied, held, bounds)
        except ModelRefused as refusal:
            refusals.append(refusal)
            raise
        return create(**options)

    try:
        with tf.variable_creator_scope(counted):
            yield
    except Exception:
        # Keras raises another error of the same kind, which has no details.
        if refusals:
            raise refusals[0] from None
        raise


def _require_few(implied: int, held: int, bounds: OpeningBounds) -> None:
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
        config = json.loads(file.read(CONFIG), object_hook=_without_state)
    with keras.StatelessScope():
        try:
            model = keras.saving.deserialize_keras_object(config, safe_mode=True)
            return sum(prod(each.shape) for each in model.weights)
        except Exception as error:
            logger.warning("cannot build the model in %s from its configuration: %s", path.name, error)
            raise cannot_open(error) from error
        finally:
            # At its end the scope would allocate the initial value of every variable.
            keras.utils.clear_session(free_memory=False)


def _without_state(node: dict[str, Any]) -> dict[str, Any]:
    """A part of a configuration without states that are kept between batches: in the scope, Keras cannot create them."""
    return {**node, "stateful": False} if "stateful" in node else node


def _held(path: Path) -> int:
    sizes: list[int] = []

    def count(_: str, each: Any) -> None:
        if isinstance(each, h5py.Dataset):
            sizes.append(prod(each.shape))

    with h5py.File(_weights(path), "r") as file:
        file.visititems(count)
    return sum(sizes)


def _weights(path: Path) -> Any:
    if path.suffix != ".keras":
        return path
    # HDF5 seeks back and forth; a member of an archive starts again from its beginning at each step back.
    with zipfile.ZipFile(path) as archive:
        return BytesIO(archive.read(WEIGHTS))


def run_once(model: Any, inputs: list[tuple[tuple[int | None, ...], str]], pack: Any) -> None:
    """Run the model once on zeros.

    Args:
        model: the Keras model.
        inputs: shape and dtype of each.
        pack: makes positional and keyword arguments of one array an input.

    Raises:
        ModelRefused: it does not run, although all its sizes are known. With an axis of any length, 32 may be a wrong guess.
    """
    try:
        arguments, keywords = pack([_zeros(shape, dtype) for shape, dtype in inputs])
        model(*arguments, **keywords)
    except Exception as error:
        if any(side is None for shape, _ in inputs for side in shape):
            return
        logger.warning("the model does not run on zeros: %s", error)
        shapes = ", ".join(str(list(shape)) for shape, _ in inputs)
        raise ModelRefused(
            f"The model does not run on zeros of its own shape, {shapes}: {type(error).__name__}, see the log; try it where it"
            " was trained.",
            cause=type(error).__name__,
        ) from error


def _zeros(shape: tuple[int | None, ...], dtype: str) -> Any:
    """An array of zeros. NumPy has no bfloat16: Keras casts."""
    sides = (_UNSAID if side is None else side for side in shape)
    return np.zeros(tuple(sides), dtype if dtype != "bfloat16" else "float32")
