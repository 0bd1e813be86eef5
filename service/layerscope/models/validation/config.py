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
    """Every value in a configuration with its path, from the outside in."""
    waiting: list[tuple[str, Any]] = [("$", config)]
    while waiting:
        path, value = waiting.pop()
        yield path, value
        if isinstance(value, dict):
            waiting.extend((f"{path}.{key}", each) for key, each in reversed(value.items()))
        elif isinstance(value, list):
            waiting.extend((f"{path}[{number}]", value[number]) for number in reversed(range(len(value))))


def _require_plain(config: Config) -> None:
    """Check depth and texts, level by level: without recursion, which deep nesting would exhaust."""
    level: list[Any] = [config]
    for _ in range(_DEEPEST):
        inside: list[Any] = []
        for value in level:
            if isinstance(value, dict):
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
