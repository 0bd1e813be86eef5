"""The layers of a model and their connections: names must be unique, and there must be an order to compute the layers in.

Keras resolves connections in a loop that never ends for a cycle, so a cycle must be found before Keras reads the file.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterator
from typing import Any

from layerscope.errors import ConfigInvalid, ModelTooLarge
from layerscope.limits import Limits
from layerscope.models.validation.config import Config, nodes

_LONGEST_NAME = 1_000
_UNPRINTABLE = frozenset({"Cc", "Zl", "Zp"})

Reference = tuple[str, int]
"""A call of a layer: the name of the layer and the number of the call. A shared layer has several."""


def layers_of(config: Config) -> list[Config]:
    """The layers of a model's configuration; none if it is not the configuration of a model.

    Old versions of Keras wrote a sequential model as a plain list of layers.
    """
    inner = config.get("config")
    layers = inner.get("layers", []) if isinstance(inner, dict) else inner
    if config.get("class_name") not in {"Functional", "Model", "Sequential"}:
        return []
    if not isinstance(layers, list) or not all(isinstance(each, dict) for each in layers):
        raise ConfigInvalid("The layers of a model are not a list of objects.")
    return layers


def models_in(config: Config) -> Iterator[tuple[str, Config]]:
    """Every model in a configuration with its path: the outermost, and those nested or wrapped in it."""
    for path, value in nodes(config):
        if isinstance(value, dict) and layers_of(value):
            yield path, value


def require_wiring(config: Config, limits: Limits, *, is_of_keras_2: bool = False) -> Counter[str]:
    """Check the layers of every model, and count them by class. In Keras 2, names may have slashes in them.

    Raises:
        ModelTooLarge: the model has more layers than allowed.
        ConfigInvalid: a name is invalid or not unique, or a layer depends on itself or on one that does not exist.
    """
    classes: Counter[str] = Counter()
    for path, model in models_in(config):
        layers = layers_of(model)
        classes.update(str(each.get("class_name")) for each in layers)
        if classes.total() > limits.model_layers:
            raise ModelTooLarge(
                f"The model has more than {limits.model_layers:,} layers.", limit=limits.model_layers
            )
        _require_names(path, layers, may_have_slashes=is_of_keras_2)
        if model["class_name"] != "Sequential":
            _require_order(path, layers)
    return classes


def _require_names(path: str, layers: list[Config], *, may_have_slashes: bool) -> None:
    taken: set[str] = set()
    for layer in layers:
        inner = layer.get("config")
        given = (layer.get("name"), inner.get("name") if isinstance(inner, dict) else None)
        own = {_name(path, each, may_have_slashes) for each in given if each is not None}
        taken_here = own & taken
        if taken_here:
            name = taken_here.pop()
            raise ConfigInvalid(f"Two layers are called {name[:80]!r}, at {path[:200]}.", path=path[:200])
        taken |= own


def _name(path: str, name: Any, may_have_slashes: bool) -> str:
    if (
        not isinstance(name, str)
        or ("/" in name and not may_have_slashes)
        or any(not part.strip() or part in {".", ".."} for part in name.split("/"))
        or len(name) > _LONGEST_NAME
        or any(unicodedata.category(each) in _UNPRINTABLE for each in name)
    ):
        raise ConfigInvalid(
            f"A layer has a name that is empty, a dot, longer than {_LONGEST_NAME:,} characters, or has a slash or a"
            f" control character in it, at {path[:200]}: rename it and save the model again.",
            path=path[:200],
        )
    return name


def _require_order(path: str, layers: list[Config]) -> None:
    """Check that each layer comes behind the inputs of at least one of its calls, as Keras writes them.

    Not of all its calls: a shared layer may be called again on the result of a layer that comes later.
    """
    calls = {layer.get("name"): [_references(call) for call in _calls(layer)] for layer in layers}
    calls = _counted_from_zero(calls, {layer.get("name") for layer in layers if layers_of(layer)})
    seen: set[Any] = set()
    for layer in layers:
        own = calls[layer.get("name")]
        if own and not any(all(name in seen for name, _ in call) for call in own):
            raise ConfigInvalid(
                f"Layer {str(layer.get('name'))[:80]!r} comes before what it is called on, at {path[:200]}.",
                path=path[:200],
            )
        seen.add(layer.get("name"))
    _require_no_cycle(path, calls)


def _counted_from_zero(
    calls: dict[Any, list[list[Reference]]], models: set[Any]
) -> dict[Any, list[list[Reference]]]:
    """The calls with each reference to a nested model counted as those to other layers.

    Keras counts the first call of a nested model as the second: it takes how the model was made for the first.
    """
    least: dict[Any, int] = {}
    for name, number in (reference for own in calls.values() for call in own for reference in call):
        least[name] = min(number, least.get(name, number))
    later = {name for name in models if least.get(name, 0) > 0}
    return {
        name: [[(each, number - (each in later)) for each, number in call] for call in own]
        for name, own in calls.items()
    }


def _require_no_cycle(path: str, calls: dict[Any, list[list[Reference]]]) -> None:
    """Sort the calls topologically (Kahn): what remains is part of a cycle, or depends on a call that does not exist."""
    waiting: dict[Reference, int] = {}
    readers: dict[Reference, list[Reference]] = {}
    for name, own in calls.items():
        for number, call in enumerate(own):
            sources = {(each, min(index, max(0, len(calls.get(each, [])) - 1))) for each, index in call}
            waiting[name, number] = len(sources)
            for source in sources:
                readers.setdefault(source, []).append((name, number))
    ready = [(name, 0) for name, own in calls.items() if not own]
    ready += [each for each, count in waiting.items() if count == 0]
    done = 0
    while ready:
        for reader in readers.get(ready.pop(), []):
            waiting[reader] -= 1
            if waiting[reader] == 0:
                done += 1
                ready.append(reader)
    if any(waiting.values()):
        raise ConfigInvalid(
            f"A layer depends on itself, or on one that is not there, at {path[:200]}.", path=path[:200]
        )


def _calls(layer: Config) -> list[Any]:
    calls = layer.get("inbound_nodes") or []
    if not isinstance(calls, list):
        raise ConfigInvalid("The calls of a layer are not a list.")
    return calls


def _references(call: Any) -> list[Reference]:
    """The inputs of a call: tensors as Keras 3 writes them, or lists `[name, call, output, …]` of Keras 2."""
    return [reference for _, value in nodes(call) if (reference := _reference(value)) is not None]


def _reference(value: Any) -> Reference | None:
    if isinstance(value, dict) and value.get("class_name") == "__keras_tensor__":
        inner = value.get("config")
        value = inner.get("keras_history") if isinstance(inner, dict) else None
        if not _is_reference(value):
            raise ConfigInvalid("A tensor does not say where it comes from.")
        return value[0], value[1]
    # A list of Keras 2 may have keyword arguments as its fourth item. The walk also meets `keras_history` itself here,
    # which is the same reference.
    return (value[0], value[1]) if _is_reference(value) else None


def _is_reference(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) in {3, 4}
        and isinstance(value[0], str)
        and all(isinstance(each, int) and 0 <= each < 1_000_000 for each in value[1:3])
    )
