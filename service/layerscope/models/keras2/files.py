"""Opening of a file that Keras 2 wrote."""

import importlib.util
import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import keras

from layerscope.errors import ModelRefused
from layerscope.models.keras2.archives import is_older_archive, load_older_archive
from layerscope.models.keras2.versions import archive_version
from layerscope.models.keras2.words import readable


def load_keras_2(path: Path, custom_objects: Mapping[str, Any], *, trust_code: bool = False) -> Any:
    """Load the model in a `.keras`, `.h5` or `.hdf5` file, without its optimizer, loss and metrics.

    Args:
        path: the file.
        custom_objects: the classes and functions of plugins by name.
        trust_code: whether to run the code of Lambda layers. Keras 2 itself would ask only for `.keras` files.

    Raises:
        ModelRefused: Keras 2 is not installed, or a plugin is for Keras 3.
    """
    if importlib.util.find_spec("tf_keras") is None:
        raise ModelRefused(
            "The model was saved by Keras 2, and only Keras 2 computes what it computed there: install it beside Layerscope"
            ' with pip install --no-deps "tf-keras~=2.21.0".',
            package="tf-keras",
        )
    # Half a second and 15 MB that a model of Keras 3 need not pay.
    import tf_keras  # noqa: PLC0415
    from tf_keras.src.saving.serialization_lib import SafeModeScope  # noqa: PLC0415

    _require_keras_2(custom_objects)
    options = {"custom_objects": dict(custom_objects), "compile": False}
    with SafeModeScope(safe_mode=not trust_code):
        if path.suffix == ".keras":
            version = archive_version(path)
            if is_older_archive(version):
                return load_older_archive(path, version, custom_objects, trust_code=trust_code)
            return tf_keras.models.load_model(path, safe_mode=not trust_code, **options)
        with _ReadableFile(path, "r") as file:
            return tf_keras.models.load_model(file, **options)


def _require_keras_2(custom_objects: Mapping[str, Any]) -> None:
    """Check that the layers of plugins are of this version.

    Raises:
        ModelRefused: one is a layer of Keras 3.
    """
    for name, value in custom_objects.items():
        if inspect.isclass(value) and issubclass(value, keras.Operation):
            raise ModelRefused(
                f"{name} in the plugin is a layer of Keras 3, and Keras 2 saved the model: write import tf_keras as keras in"
                " the plugin, or save the model again with Keras 3.",
                name=name,
            )


class _ReadableFile(h5py.File):  # type: ignore[misc]
    """An HDF5 file whose configuration has only words that the last version of Keras 2 reads."""

    @property
    def attrs(self) -> dict[str, Any]:
        attributes = dict(super().attrs)
        if "model_config" in attributes:
            attributes["model_config"] = json.dumps(readable(json.loads(attributes["model_config"])))
        return attributes
