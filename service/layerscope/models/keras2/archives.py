"""`.keras` archives that Keras 2.12 to 2.14 wrote, whose weights have other names than those that later versions look for.

An archive names the weights of a layer by the way to it through the attributes of the model. These versions walked the
attributes in alphabetical order, and so met the layers of a model in another attribute than Keras 2.15 does, which walks in the
opposite order.
"""

import json
import zipfile
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import h5py

_FIRST_OF_TODAY = (2, 15)
_NUMBERED_AGAIN = (2, 14)
"""Earlier versions counted a layer anew when they met it again in one list, though they named it once."""

_ATTRIBUTE = "_layer_checkpoint_dependencies"
"""The attribute in which these versions met the layers of a model."""

Version = tuple[int, int]


def is_older_archive(version: Version) -> bool:
    """Whether an archive of this version has to be loaded here."""
    return version < _FIRST_OF_TODAY


def load_older_archive(
    path: Path, version: Version, custom_objects: Mapping[str, Any], *, trust_code: bool
) -> Any:
    """Load the model in a `.keras` file of Keras 2.12 to 2.14, without its optimizer, loss and metrics."""
    import tf_keras  # noqa: PLC0415 - see `files`
    from tf_keras.src.saving.saving_lib import ATTR_SKIPLIST  # noqa: PLC0415
    from tf_keras.src.utils.generic_utils import to_snake_case  # noqa: PLC0415

    with zipfile.ZipFile(path) as archive:
        config = {**json.loads(archive.read("config.json")), "compile_config": None}
        weights = BytesIO(archive.read("model.weights.h5"))
    model = tf_keras.saving.deserialize_keras_object(config, dict(custom_objects), safe_mode=not trust_code)
    walk = _Walk(
        tf_keras.layers.Layer, ATTR_SKIPLIST - {_ATTRIBUTE}, to_snake_case, version < _NUMBERED_AGAIN
    )
    with h5py.File(weights, "r") as file:
        for place, layer in walk.layers(model, ""):
            name = f"{place}/vars".lstrip("/")
            # Raises an error if it has not as many weights as the layer.
            layer.load_own_variables(file.get(name, {}))
    return model


class _Walk:
    """The walk through a model that gives weights their names.

    Args:
        layer: the class of all layers.
        skipped: names of attributes that are left out.
        to_snake_case: makes the name of a layer of that of its class.
        counts_again: whether a layer is counted anew when it is met again in one list.
    """

    def __init__(self, layer: Any, skipped: frozenset[str], to_snake_case: Any, counts_again: bool) -> None:
        self._layer = layer
        self._skipped = skipped
        self._to_snake_case = to_snake_case
        self._counts_again = counts_again
        self._met: set[int] = set()

    def layers(self, layer: Any, place: str) -> Iterator[tuple[str, Any]]:
        """A layer and all inside it, each once, with the name of the group of its weights."""
        if id(layer) in self._met:
            return
        self._met.add(id(layer))
        yield place, layer
        for name in sorted(dir(layer)):
            value = None if name.startswith("__") or name in self._skipped else _attribute(layer, name)
            if isinstance(value, self._layer):
                yield from self.layers(value, f"{place}/{name}")
            elif isinstance(value, (list, tuple, set, dict)):
                yield from self._listed(value, f"{place}/{name}")

    def _listed(self, values: Any, place: str) -> Iterator[tuple[str, Any]]:
        counts: dict[str, int] = {}
        for each in list(values.values()) if isinstance(values, dict) else values:
            if isinstance(each, self._layer) and (self._counts_again or id(each) not in self._met):
                name = self._to_snake_case(type(each).__name__)
                number = counts.setdefault(name, 0)
                counts[name] += 1
                yield from self.layers(each, f"{place}/{name}_{number}" if number else f"{place}/{name}")


def _attribute(layer: Any, name: str) -> Any:
    """The value of an attribute; None for a property that has no value, such as the input of a shared layer."""
    try:
        return getattr(layer, name)
    except Exception:
        return None
