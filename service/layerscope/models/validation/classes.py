"""The classes and functions that a configuration names: each must be on the list of those that are data.

The list names what is allowed, and not what is forbidden: to find a class, Keras may import the module that a configuration
names, so that anything unknown may be code.
"""

from collections.abc import Mapping
from typing import Any

from layerscope.errors import ConfigInvalid, LayerNotAllowed
from layerscope.models.validation import allowed, allowed_keras_2
from layerscope.models.validation.config import Config, nodes

_CODE = frozenset(
    {"Lambda", "__lambda__", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "__typespec__"}
)
_LOOKUPS = frozenset({"StringLookup", "IntegerLookup", "TextVectorization"})

_BY_SUFFIX: Mapping[str, frozenset[str]] = {
    "initializer": allowed.INITIALIZERS | {"Zero", "One", "Normal", "Uniform"},
    "regularizer": allowed.REGULARIZERS,
    "constraint": allowed.CONSTRAINTS,
}
"""What a text may name, by the last word of its key: `kernel_initializer`, for example. Activations differ by version."""


def require_known_classes(config: Config, *, is_of_keras_2: bool = False) -> None:
    """Check every class and function that a configuration names.

    Args:
        config: the configuration.
        is_of_keras_2: whether Keras 2 will open the file.

    Raises:
        LayerNotAllowed: one is code, is unknown, or is not in the module that is named.
        ConfigInvalid: an object that names a class does not have the form that Keras writes.
    """
    known = allowed_keras_2 if is_of_keras_2 else allowed
    for path, value in nodes(config):
        if isinstance(value, dict):
            if "class_name" in value:
                _require_class(path, value, known)
            for key, each in value.items():
                _require_function(f"{path}.{key}", key, each, known)


def _require_class(path: str, node: Config, known: Any) -> None:
    name, module, registered = (node.get(key) for key in ("class_name", "module", "registered_name"))
    if (
        not isinstance(name, str)
        or not isinstance(module or "", str)
        or not isinstance(registered or "", str)
    ):
        raise ConfigInvalid(f"A class is not named by a text, at {path[:200]}.", path=path[:200])
    if name in known.SPECIAL:
        _require_value(path, node)
    elif name == "function":
        _require_activation(path, node, known)
    elif not known.is_class(name, module) or registered not in {None, "", name}:
        raise _refusal(path, name, module)
    elif name in allowed_keras_2.OPERATIONS:
        _require_operation(path, node)


def _require_operation(path: str, node: Config) -> None:
    """Check the function of TensorFlow that a layer of Keras 2 applies: it is found by its name, whatever it does."""
    inner = node.get("config")
    name = inner.get("function") if isinstance(inner, dict) else None
    if not isinstance(name, str) or not allowed_keras_2.is_function(name):
        raise _refusal(f"{path}.config.function", f"tf.{name}", None)


def _require_activation(path: str, node: Config, known: Any) -> None:
    name, module = node.get("config"), node.get("module")
    if (
        not isinstance(name, str)
        or name not in known.ACTIVATIONS
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


def _require_function(path: str, key: str, value: Any, known: Any) -> None:
    suffix = key.rpartition("_")[2]
    names = known.ACTIVATIONS if suffix == "activation" else _BY_SUFFIX.get(suffix)
    if names is None or not isinstance(value, str):
        return
    if not allowed.is_named(value, names):
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
