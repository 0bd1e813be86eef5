"""HDF5 files of Keras 2, whose configurations have a few arguments and names that Keras 3 refuses."""

import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import keras

# The public `load_model` takes only paths, and a file cannot be changed on the way to it.
from keras.src.legacy.saving.legacy_h5_format import load_model_from_hdf5

_OBSOLETE: Mapping[str, Any] = {
    "adjustment": None,
    "groups": 1,
    "renorm": False,
    "time_major": False,
    "virtual_batch_size": None,
}
"""Arguments that some layers no longer have, each with the value that had no effect."""

_RENAMED = {"BatchNormalizationV1": "BatchNormalization", "BatchNormalizationV2": "BatchNormalization"}


def load_legacy(path: Path, custom_objects: Mapping[str, Any], *, trust_code: bool = False) -> Any:
    """Load the model in an `.h5` or `.hdf5` file, without its optimizer, loss and metrics."""
    with _ModernFile(path, "r") as file:
        return load_model_from_hdf5(
            file, custom_objects=dict(custom_objects), compile=False, safe_mode=not trust_code
        )


class _ModernFile(h5py.File):  # type: ignore[misc]
    """An HDF5 file whose configuration reads as Keras 3 would have written it."""

    @property
    def attrs(self) -> dict[str, Any]:
        attributes = dict(super().attrs)
        if "model_config" in attributes:
            attributes["model_config"] = json.dumps(_modern(json.loads(attributes["model_config"])))
        return attributes


def _modern(node: Any) -> Any:
    """A configuration of a model, a layer or a part of one, as Keras 3 writes it."""
    if isinstance(node, list):
        return [_modern(each) for each in node]
    if not isinstance(node, dict):
        return node
    node = {key: _modern(value) for key, value in node.items()}
    if {"class_name", "config"} <= node.keys():
        node["class_name"] = _RENAMED.get(node["class_name"], node["class_name"])
        node["config"] = _modern_config(node)
    return node


def _modern_config(node: Mapping[str, Any]) -> Any:
    class_name, config = node["class_name"], node["config"]
    if class_name == "Sequential":
        return _with_input_layer(
            {"name": node.get("name"), "layers": config} if isinstance(config, list) else config
        )
    layer = getattr(keras.layers, class_name, None)
    if not inspect.isclass(layer) or not isinstance(config, dict):
        return config
    known = inspect.signature(layer).parameters
    return {
        name: value
        for name, value in config.items()
        if name in known or name not in _OBSOLETE or value != _OBSOLETE[name]
    }


def _with_input_layer(config: dict[str, Any]) -> dict[str, Any]:
    """Add the input layer to a sequential model: in Keras 2, the first layer had the shape of the input."""
    first, *others = config["layers"]
    shape = first["config"].pop("batch_input_shape", None) if first["class_name"] != "InputLayer" else None
    if shape is None:
        return config
    dtype = "int32" if first["class_name"] == "Embedding" else "float32"
    start = {"batch_shape": shape, "dtype": dtype, "name": f"{first['config']['name']}_input"}
    return {**config, "layers": [{"class_name": "InputLayer", "config": start}, first, *others]}
