"""The types of options: how a value is written in a query, a form and JSON, and when it is valid."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from layerscope.attribution import method_of
from layerscope.graph.taps.selectors import read_selectors
from layerscope.interventions import parse_edit

REPEATABLE = frozenset({"edit", "image", "layers", "methods", "measures", "rules"})
"""The options that may be repeated in a query or a form."""


def _split_numbers(value: object) -> object:
    """`0,1,2` in a query means the JSON list [0, 1, 2]."""
    return value.split(",") if isinstance(value, str) and value != "shared" else value


def as_list(value: object) -> object:
    """A single value means a list of one."""
    return [value] if isinstance(value, str) else value


def _join_channels(value: object) -> object:
    """A number or a list of numbers in JSON means `0,3,5` in a query."""
    numbers = value if isinstance(value, list) else [value]
    return ",".join(map(str, numbers)) if all(type(number) is int for number in numbers) else value


def _require_selector(value: str) -> str:
    read_selectors([value])
    return value


def _require_edits(values: Sequence[str]) -> list[str]:
    return [parse_edit(value).text for value in values]


def read_methods(values: Sequence[str]) -> list[str]:
    """Split comma separated names of attribution methods.

    Raises:
        OptionInvalid: a method does not exist.
    """
    names = [name.strip() for value in values for name in value.split(",")]
    return [method_of(name).name for name in dict.fromkeys(names) if name]


Names = Annotated[list[str], BeforeValidator(as_list)]
Selector = Annotated[str, AfterValidator(_require_selector), Field(json_schema_extra={"minLength": 1})]
Selectors = Annotated[
    list[str],
    BeforeValidator(as_list),
    AfterValidator(read_selectors),
    Field(json_schema_extra={"items": {"type": "string", "minLength": 1}, "minItems": 1}),
]
Seed = Annotated[
    int,
    Field(
        ge=0,
        le=2**32 - 1,
        description="what random numbers are made of: those that the model draws, if it draws any, and those of methods",
    ),
]
Edits = Annotated[list[str], BeforeValidator(as_list), AfterValidator(_require_edits)]
Methods = Annotated[list[str], BeforeValidator(as_list), AfterValidator(read_methods)]
Region = Annotated[tuple[int, int, int, int], BeforeValidator(_split_numbers)]
Pair = Annotated[tuple[float, float], BeforeValidator(_split_numbers)]
Slices = Annotated[
    str,
    BeforeValidator(_join_channels),
    Field(max_length=10_000, pattern=r"^(all|\d{1,9}(-\d{1,9})?(,\d{1,9}(-\d{1,9})?)*)$"),
]
Channels = Annotated[str, BeforeValidator(_join_channels), Field(max_length=10_000)]
