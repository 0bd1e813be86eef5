"""The architectures of `keras.applications`, and EfficientNet-Lite0: declared by name in `layerscope.json` where no model file is."""

import inspect
import logging
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Any

import keras

from layerscope.errors import ModelRefused
from layerscope.models import efficientnet_lite
from layerscope.models.manifest import FILE_NAME, Manifest

logger = logging.getLogger(__name__)

RANDOM = "random"
"""The value of `weights` for random weights, which are always the same."""

SEED = 0
"""The seed of random weights, so that a declaration always makes the same model."""

_PRESETS: Mapping[str, str] = MappingProxyType(
    {
        "convnext": "none",
        "densenet": "torch",
        "efficientnet": "none",
        "efficientnet_v2": "none",
        "inception_resnet_v2": "signed",
        "inception_v3": "signed",
        "mobilenet": "signed",
        "mobilenet_v2": "signed",
        "mobilenet_v3": "none",
        "nasnet": "signed",
        "resnet": "caffe",
        "resnet_v2": "signed",
        "vgg16": "caffe",
        "vgg19": "caffe",
        "xception": "signed",
    }
)
"""The preset equal to `keras.applications.<module>.preprocess_input`; "none" where the model itself preprocesses."""

_ELSEWHERE = frozenset({"weights", "input_tensor"})
"""Arguments of the architectures that a declaration may not set as options."""


def architectures() -> dict[str, Callable[..., Any]]:
    """Every architecture of this version of Keras by name."""
    return {
        name: value
        for name, value in vars(keras.applications).items()
        if inspect.isfunction(value) and "weights" in inspect.signature(value).parameters
    }


def architecture(name: str) -> Callable[..., Any]:
    """The function that builds an architecture.

    Raises:
        ModelRefused: there is none of that name.
    """
    known = architectures()
    if name not in known:
        lowered = {each.lower(): each for each in known}
        near = [lowered[each] for each in get_close_matches(name.lower(), lowered)]
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(sorted(known))}."
        raise ModelRefused(
            f"keras.applications has no architecture {name!r}: {hint}", field="architecture", near=near
        )
    return known[name]


def build_architecture(manifest: Manifest, folder: Path) -> Any:
    """Build the model that is declared in `folder`.

    Raises:
        ModelRefused: there is no such architecture or option, or the weights are not there or do not fit.
    """
    name = manifest.architecture
    if name is None:
        raise ModelRefused(f"There is no model file beside {FILE_NAME}, and it names no architecture either.")
    path = weights_file(manifest, folder)
    # Keras numbers layers without a name for as long as the session lasts: a second build would get other names.
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(SEED)
    if name == efficientnet_lite.NAME:
        if manifest.options:
            raise ModelRefused(f"{name} has no options.", field="options")
        return efficientnet_lite.build(path)
    make = architecture(name)
    _require_options(name, make, manifest.options)
    try:
        model = make(weights=None, **manifest.options)
    except Exception as error:
        logger.warning("cannot build %s", name, exc_info=True)
        raise ModelRefused(f"{name} cannot be built with these options: {_in_short(error)}") from error
    if path is not None:
        _load_weights(model, path, name)
    return model


def require_no_architecture(manifest: Manifest) -> None:
    """Check a declaration that stands beside a model file.

    Raises:
        ModelRefused: it declares an architecture, or weights or options of one.
    """
    for field in ("architecture", "weights", "options"):
        if getattr(manifest, field):
            raise ModelRefused(
                f"{FILE_NAME} declares {field}, and there is a model file beside it: remove one of them.",
                field=field,
            )


def weights_file(manifest: Manifest, folder: Path) -> Path | None:
    """The file with the declared weights; None for random ones.

    Raises:
        ModelRefused: there is no such file beside the declaration.
    """
    name = manifest.weights
    if manifest.architecture is None or name == RANDOM:
        return None
    path = folder / (name or "")
    suffixes = (".pth",) if manifest.architecture == efficientnet_lite.NAME else (".h5", ".hdf5")
    if not name or Path(name).name != name or path.suffix not in suffixes or not path.is_file():
        raise ModelRefused(
            f"{FILE_NAME} must say which weights {manifest.architecture} has: {RANDOM!r}, or the name of an {suffixes[0]} file"
            " beside it. Nothing is downloaded.",
            field="weights",
        )
    return path


def preset_of(manifest: Manifest) -> str | None:
    """The preprocessing preset that the declared architecture was trained with; None if there is none.

    There is none for a model built without the preprocessing layers that some have, or for images that are not in colour.
    """
    make = architectures().get(manifest.architecture or "")
    channels = (manifest.options.get("input_shape") or (3,))[-1]
    if make is None or channels != 3 or not manifest.options.get("include_preprocessing", True):
        return None
    return _PRESETS.get(make.__module__.rpartition(".")[2])


def _require_options(name: str, make: Callable[..., Any], options: Mapping[str, Any]) -> None:
    known = [each for each in inspect.signature(make).parameters if each not in _ELSEWHERE]
    unknown = sorted(options.keys() - set(known))
    if unknown:
        raise ModelRefused(
            f"{name} has no option {unknown[0]!r}: use {', '.join(known)}.", field=f"options.{unknown[0]}"
        )


def _load_weights(model: Any, path: Path, name: str) -> None:
    try:
        model.load_weights(path)
    except Exception as error:
        logger.warning("cannot load %s into %s: %s", path.name, name, error)
        raise ModelRefused(
            f"The weights in {path.name} do not fit {name} with these options, or the file is damaged.",
            cause=type(error).__name__,
        ) from error


def _in_short(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
