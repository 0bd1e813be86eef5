"""Model files that Keras opens: `.keras`, and the legacy HDF5 of Keras 2."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from layerscope.errors import ModelRefused, ModelUnreadable
from layerscope.models.file_kinds import foreign_kind
from layerscope.models.keras2.files import load_keras_2
from layerscope.models.keras2.versions import is_of_keras_2
from layerscope.models.lambda_layers import lambda_layers
from layerscope.models.opening_errors import cannot_open
from layerscope.models.plugins import run_plugins
from layerscope.models.validation.kinds import SUFFIXES, kind_of

logger = logging.getLogger(__name__)

if keras.backend.backend() != "tensorflow":
    raise ImportError(
        "Layerscope traces models with TensorFlow: unset KERAS_BACKEND or set it to tensorflow."
    )


def open_model(path: Path, plugins: Sequence[Path] = (), *, trust_code: bool = False) -> Any:
    """Open the model at `path` for inference. Its optimizer, loss and metrics are not read.

    Args:
        path: a `.keras`, `.h5` or `.hdf5` file.
        plugins: Python files, run first, that define the model's custom classes and functions, whether they are
            registered with `keras.saving.register_keras_serializable` or not. They are code of an operator, never
            of an upload.
        trust_code: whether to run the code that the file itself holds, in Lambda layers.

    Raises:
        ModelRefused: the file is damaged, of another format, or needs what neither Keras nor a plugin has.
    """
    kind = foreign_kind(path)
    if kind is not None:
        raise ModelUnreadable(f"{path.name} is {kind}.")
    _require_suffix(path)
    known = run_plugins(plugins)
    is_old = is_of_keras_2(path)
    try:
        if is_old:
            return load_keras_2(path, known, trust_code=trust_code)
        return keras.models.load_model(path, custom_objects=known, compile=False, safe_mode=not trust_code)
    except ModelRefused:
        raise
    except Exception as error:
        logger.warning("cannot open %s: %s", path.name, error)
        raise cannot_open(error, "tf-keras" if is_old else "keras", lambda_layers(path)) from error


def _require_suffix(path: Path) -> None:
    """Check that the name of a file says what it is: Keras chooses the reader by it.

    Raises:
        ModelUnreadable: it does not.
    """
    kind = kind_of(path)
    is_archive = path.suffix == ".keras"
    if kind is not None and (kind == "keras") != is_archive:
        called = f"{path.stem}{SUFFIXES[kind]}"
        what = "an HDF5 file" if is_archive else "a .keras archive"
        raise ModelUnreadable(f"{path.name} is {what} and not what its name says: call it {called}.")
