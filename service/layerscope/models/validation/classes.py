"""The classes and functions that a configuration names: each must be on the list of those that are data.

The list names what is allowed, and not what is forbidden: to find a class, Keras may import the module that a configuration
names, so that anything unknown may be code.
"""

from collections.abc import Mapping
from typing import Any

from layerscope.errors import ConfigInvalid, LayerNotAllowed
from layerscope.models.validation import allowed
from layerscope.models.validation.config import Config, nodes

_CODE = frozenset(
    {"Lambda", "__lambda__", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "__typespec__"}
)
_LOOKUPS = frozenset({"StringLookup", "IntegerLookup", "TextVectorization"})

_BY_SUFFIX: Mapping[str, frozenset[str]] = {
    "activation": allowed.ACTIVATIONS,
    "initializer": allowed.INITIALIZERS | {"Zero", "One", "Normal", "Uniform"},
    "regularizer": allowed.REGULARIZERS,
    "constraint": allowed.CONSTRAINTS,
}
"""The functions that a text may name, by the last word of its key: `kernel_initializer`, for example."""

_EVERY_CLASS = frozenset().union(*allowed.MODULES.values()) | allowed.LEGACY_LAYERS


def require_known_classes(config: Config) -> None:
    """Check every class and function that a configuration names.

    Raises:
        LayerNotAllowed: one is code, is unknown, or is not in the module that is named.
        ConfigInvalid: an object that names a class does not have the form that Keras writes.
    """
    for path, value in nodes(config):
        if isinstance(value, dict):
            if "class_name" in value:
                _require_class(path, value)
            for key, each in value.items():
                _require_function(f"{path}.{key}", key, each)


def _require_class(path: str, node: Config) -> None:
    name, module, registered = (node.get(key) for key in ("class_name", "module", "registered_name"))
    if (
        not isinstance(name, str)
        or not isinstance(module or "", str)
        or not isinstance(registered or "", str)
    ):
        raise ConfigInvalid(f"A class is not named by a text, at {path[:200]}.", path=path[:200])
    if name in allowed.SPECIAL:
        _require_value(path, node)
    elif name == "function":
        _require_activation(path, node)
    elif not _is_known(name, module) or registered not in {None, "", name}:
        raise _refusal(path, name, module)


def _is_known(name: str, module: str | None) -> bool:
    """Whether a class is on the list. The legacy format has no modules: Keras finds such names among its own classes only."""
    if not module:
        return name in _EVERY_CLASS
    return name in allowed.MODULES.get(module, ()) or allowed.is_operation(module, name)


def _require_activation(path: str, node: Config) -> None:
    name, module = node.get("config"), node.get("module")
    if (
        not isinstance(name, str)
        or name not in allowed.ACTIVATIONS
        or module not in {None, "builtins", "keras.activations"}
        or node.get("registered_name") not in {None, "function", name}
    ):
        raise _refusal(path, str(name), str(module))


def _require_value(path: str, node: Config) -> None:
    inner = node.get("config")
    if node["class_name"] in {"__tensor__", "__numpy__"}:
        dtype = inner.get("dtype") if isinstance(inner, dict) else None
        if not isinstance(dtype, str) or not allowed.DTYPES.fullmatch(dtype):
            raise ConfigInvalid(f"An array is of no type of numbers, at {path[:200]}.", path=path[:200])


def _require_function(path: str, key: str, value: Any) -> None:
    suffix = key.rpartition("_")[2]
    known = _BY_SUFFIX.get(suffix)
    if known is None or not isinstance(value, str):
        return
    if not allowed.is_named(value, known):
        raise _refusal(path, value, None)


def _refusal(path: str, name: str, module: str | None) -> LayerNotAllowed:
    path, shown = path[:200], f"{module}.{name}"[:100] if module else name[:100]
    if name in _CODE:
        why, advice = "runs code that comes with the file", "save the model with layers that Keras has"
    elif name in _LOOKUPS:
        why, advice = "looks words up in a table", "look them up before, and save the model without it"
    else:
        why, advice = (
            "is not among the classes and functions of Keras that are known to be data",
            (
                "save the model without it, or have the operator put the file into the model directory with a plugin"
            ),
        )
    return LayerNotAllowed(f"{shown!r} at {path} {why}: {advice}.", path=path, name=name[:100], module=module)
