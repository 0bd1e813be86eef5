"""Model files that Keras opens: `.keras`, and the legacy HDF5 of Keras 2."""

import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from layerscope.errors import ModelRefused
from layerscope.models.keras2.files import load_keras_2
from layerscope.models.keras2.versions import is_of_keras_2
from layerscope.models.plugins import run_plugins

logger = logging.getLogger(__name__)

_DAMAGED = "The file is damaged or not a Keras model: save it again with model.save('model.keras')."

_ADVICE = (
    (
        r"`Lambda` layer|Python `?lambda|identifier: \{'value'",
        (
            'The model has a Lambda layer, which is code in a data file: declare "trust_code": true in layerscope.json if you'
            " trust whoever made it, or save it with a layer class of your own and name its plugin."
        ),
    ),
    (
        r"Could not locate|Unknown (layer|activation|initializer|regularizer|constraint)|Could not interpret|parent module .* cannot be imported",
        "The model uses a class that Keras does not have: name a plugin that defines it in layerscope.json.",
    ),
    (
        r"No model config",
        (
            "The file holds nothing but weights: save the whole model with model.save('model.keras'), or declare its"
            " architecture in layerscope.json."
        ),
    ),
    (
        r"requires the (\w+) module",
        r"The model needs the Python package \1: install it beside Layerscope.",
    ),
    (r"(?i)not a zip|accessible", _DAMAGED),
    (
        r"(?i)unexpected keyword|unrecognized keyword|keyword argument not understood|not a KerasSaveable",
        "The model was saved by another version of Keras than this one can read: save it again with Keras 3.",
    ),
)
"""Patterns of the messages of Keras when it cannot open a file, each with advice to the caller."""

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
    known = run_plugins(plugins)
    try:
        if is_of_keras_2(path):
            return load_keras_2(path, known, trust_code=trust_code)
        return keras.models.load_model(path, custom_objects=known, compile=False, safe_mode=not trust_code)
    except ModelRefused:
        raise
    except Exception as error:
        logger.warning("cannot open %s: %s", path.name, error)
        raise ModelRefused(_advice(error), cause=type(error).__name__) from error


def _advice(error: Exception) -> str:
    if isinstance(error, (OSError, KeyError)):
        return _DAMAGED
    # Keras quotes the configuration before this text, and a configuration could contain any of the patterns.
    text = str(error).rpartition("Exception encountered: ")[2]
    for pattern, advice in _ADVICE:
        match = re.search(pattern, text)
        if match:
            return match.expand(advice)
    return "Keras cannot open the file: load and save it once more where it was trained, with Keras 3."
