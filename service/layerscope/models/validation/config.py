"""The configuration of a model, read as strict JSON: no duplicate keys, no NaN, nothing that Python or UTF-8 cannot hold.

Another reader might understand a duplicate key in another way than the check did, so it must not occur at all.
"""

import json
import math
from collections.abc import Iterator
from typing import Any

from layerscope.errors import ConfigInvalid, ModelTooLarge, ModelUnreadable
from layerscope.limits import Limits

Config = dict[str, Any]

_DEEPEST = 200
_MOST_VALUES = 2_000_000
"""The greatest number of keys and values together. Each is visited several times, also where it is one byte of the file."""

_LONGEST_KEY = 1_000
_LONGEST_PATH = 2_000
_LONGEST_INTEGER = 18


def read_config(data: bytes, limits: Limits) -> Config:
    """Parse a configuration.

    Raises:
        ModelUnreadable: it is not JSON in UTF-8.
        ModelTooLarge: it is longer or nested deeper than allowed.
        ConfigInvalid: it is JSON, with values that no configuration has.
    """
    if len(data) > limits.model_config_bytes:
        raise ModelTooLarge(
            f"The model's configuration has {len(data):,} bytes, and may have {limits.model_config_bytes:,}.",
            size=len(data),
            limit=limits.model_config_bytes,
        )
    try:
        config = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_without_duplicates,
            parse_constant=_no_constant,
            parse_int=_integer,
            parse_float=_float,
        )
    except RecursionError as error:
        raise _too_deep() from error
    except ValueError as error:
        raise ModelUnreadable(
            "The model's configuration is not JSON in UTF-8: save the model again."
        ) from error
    if not isinstance(config, dict):
        raise ConfigInvalid("The model's configuration is not an object.", path="$")
    _require_plain(config)
    return config


def nodes(config: Any) -> Iterator[tuple[str, Any]]:
    """Every value in a configuration with its path, from the outside in. Long paths are cut off."""
    waiting: list[Iterator[tuple[str, Any]]] = [iter([("$", config)])]
    while waiting:
        found = next(waiting[-1], None)
        if found is None:
            waiting.pop()
            continue
        yield found
        path, value = found[0][:_LONGEST_PATH], found[1]
        if isinstance(value, dict):
            waiting.append(_named(path, value))
        elif isinstance(value, list):
            waiting.append(_numbered(path, value))


def _named(path: str, value: Config) -> Iterator[tuple[str, Any]]:
    return ((f"{path}.{key}", each) for key, each in value.items())


def _numbered(path: str, value: list[Any]) -> Iterator[tuple[str, Any]]:
    return ((f"{path}[{number}]", each) for number, each in enumerate(value))


def _require_plain(config: Config) -> None:
    """Check number, depth and texts, level by level: without recursion, which deep nesting would exhaust."""
    level: list[Any] = [config]
    values = 0
    for _ in range(_DEEPEST):
        values += len(level)
        if values > _MOST_VALUES:
            raise ModelTooLarge(
                f"The model's configuration has more than {_MOST_VALUES:,} keys and values.",
                limit=_MOST_VALUES,
            )
        inside: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                if any(len(key) > _LONGEST_KEY for key in value):
                    raise ConfigInvalid(
                        f"The model's configuration has a key of more than {_LONGEST_KEY:,} characters."
                    )
                inside += [*value.keys(), *value.values()]
            elif isinstance(value, list):
                inside += value
            elif isinstance(value, str):
                _require_text(value)
        if not inside:
            return
        level = inside
    raise _too_deep()


def _require_text(value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ConfigInvalid("The model's configuration has half of a surrogate pair in a text.") from error


def _without_duplicates(pairs: list[tuple[str, Any]]) -> Config:
    result = dict(pairs)
    if len(result) < len(pairs):
        raise ConfigInvalid("The model's configuration has the same key twice in one object.")
    return result


def _no_constant(name: str) -> float:
    raise ConfigInvalid(f"The model's configuration has {name}, which is no number of JSON.", value=name)


def _integer(text: str) -> int:
    if len(text) > _LONGEST_INTEGER:
        raise ConfigInvalid(
            f"The model's configuration has an integer of {len(text):,} digits.", digits=len(text)
        )
    return int(text)


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ConfigInvalid("The model's configuration has a number that is larger than any can be.")
    return value


def _too_deep() -> ModelTooLarge:
    return ModelTooLarge(f"The model's configuration is nested more than {_DEEPEST} deep.", limit=_DEEPEST)
