"""Open a model file with Keras: `.keras`, and the legacy HDF5 of Keras 2."""

import importlib.util
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from layerscope.errors import ModelRefused

logger = logging.getLogger(__name__)

if keras.backend.backend() != "tensorflow":
    raise ImportError(
        "Layerscope traces models with TensorFlow: unset KERAS_BACKEND or set it to tensorflow."
    )


def open_model(path: Path, plugins: Sequence[Path] = ()) -> Any:
    """Open the model at `path` for inference. What it was compiled with is not read.

    Args:
        path: a `.keras`, `.h5` or `.hdf5` file.
        plugins: Python files, run first, that define the model's custom classes and functions, whether they are
            registered with `keras.saving.register_keras_serializable` or not. They are an operator's code, never
            an upload's.

    Raises:
        ModelRefused: the file is damaged, of another format, or needs what neither Keras nor a plugin has.
    """
    known = _legacy_classes(path)
    for plugin in plugins:
        known |= _run_plugin(plugin)
    try:
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


def _legacy_classes(path: Path) -> dict[str, Any]:
    """Keras 2 wrote `groups=1` for layers whose Keras 3 constructors refuse the argument."""
    if path.suffix == ".keras":
        return {}
    return {
        original.__name__: _without_groups(original)
        for original in (
            keras.layers.DepthwiseConv2D,
            keras.layers.SeparableConv2D,
            keras.layers.SeparableConv1D,
        )
    }


def _without_groups(original: Any) -> type:
    def from_config(config: dict[str, Any]) -> Any:
        return original.from_config({key: value for key, value in config.items() if key != "groups"})

    return type(original.__name__, (original,), {"from_config": staticmethod(from_config)})


def _advice(error: Exception) -> str:
    text = str(error)
    if "Lambda" in text or "lambda" in text:
        return "The model has a Lambda layer, which is code in a data file: save it with a layer class of your own."
    if "Could not locate class" in text or "Unknown layer" in text or "Could not locate function" in text:
        return "The model uses a class that Keras does not have: name a plugin that defines it in layerscope.json."
    if isinstance(error, (OSError, KeyError)) or "not a zip" in text.lower() or "not accessible" in text:
        return "The file is damaged or not a Keras model: save it again with model.save('model.keras')."
    if "unexpected keyword" in text.lower() or "Unrecognized keyword" in text:
        return "The model was saved by another version of Keras than this one can read: save it again with Keras 3."
    return "Keras cannot open the file: load and save it once more where it was trained, with Keras 3."
