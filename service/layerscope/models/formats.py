"""Model files that Keras opens: `.keras`, and the legacy HDF5 of Keras 2."""

import importlib.util
import logging
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from layerscope.errors import ModelRefused
from layerscope.models.legacy import load_legacy

logger = logging.getLogger(__name__)

_DAMAGED = "The file is damaged or not a Keras model: save it again with model.save('model.keras')."

_ADVICE = (
    (
        r"(TF|Slicing|TFClassMethod|Instance\w+)OpLambda",
        (
            "The model applies functions of TensorFlow, which Keras 3 cannot read from an HDF5 file: save it as a"
            " SavedModel folder where it was trained."
        ),
    ),
    (
        r"`Lambda` layer|Python `?lambda|identifier: \{'value'",
        "The model has a Lambda layer, which is code in a data file: save it with a layer class of your own.",
    ),
    (
        r"Could not locate|Unknown layer|Could not interpret|parent module .* cannot be imported",
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
        r"cannot contain character `/`",
        "A layer has a slash in its name, which Keras 3 refuses: rename it where the model was trained, and save it again.",
    ),
    (
        r"requires the (\w+) module",
        r"The model needs the Python package \1: install it beside Layerscope.",
    ),
    (r"(?i)not a zip|accessible", _DAMAGED),
    (
        r"(?i)unexpected keyword|unrecognized keyword|not a KerasSaveable",
        "The model was saved by another version of Keras than this one can read: save it again with Keras 3.",
    ),
)
"""Patterns of the messages of Keras when it cannot open a file, each with advice to the caller."""

if keras.backend.backend() != "tensorflow":
    raise ImportError(
        "Layerscope traces models with TensorFlow: unset KERAS_BACKEND or set it to tensorflow."
    )


def open_model(path: Path, plugins: Sequence[Path] = ()) -> Any:
    """Open the model at `path` for inference. Its optimizer, loss and metrics are not read.

    Args:
        path: a `.keras`, `.h5` or `.hdf5` file.
        plugins: Python files, run first, that define the model's custom classes and functions, whether they are
            registered with `keras.saving.register_keras_serializable` or not. They are code of an operator, never
            of an upload.

    Raises:
        ModelRefused: the file is damaged, of another format, or needs what neither Keras nor a plugin has.
    """
    known: dict[str, Any] = {}
    for plugin in plugins:
        known |= _run_plugin(plugin)
    try:
        if path.suffix in {".h5", ".hdf5"}:
            return load_legacy(path, known)
        return keras.models.load_model(path, custom_objects=known, compile=False)
    except Exception as error:
        logger.warning("cannot open %s: %s", path.name, error)
        raise ModelRefused(_advice(error), cause=type(error).__name__) from error


def _run_plugin(path: Path) -> dict[str, Any]:
    """The classes and functions that the plugin defines, by name."""
    name = f"layerscope_plugin_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ModelRefused(f"The plugin {path.name} is not a Python file beside the model.", plugin=path.name)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        logger.warning("plugin %s failed", path.name, exc_info=True)
        raise ModelRefused(
            f"The plugin {path.name} raised {type(error).__name__}: see the log.", plugin=path.name
        ) from error
    return {key: value for key, value in vars(module).items() if getattr(value, "__module__", None) == name}


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
