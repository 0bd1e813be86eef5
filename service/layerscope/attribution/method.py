"""What every attribution method has: a name, options, a cost and a paper."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from layerscope.attribution.model_probe import Probe

Array = np.ndarray[Any, np.dtype[Any]]

Place = Literal["layer", "input"]
"""Where a map lies: over the feature maps of a layer, or over the pixels of an input."""

ARGMAX = "argmax"

_NOT_NEGATIVE = 0


def _text(value: object) -> object:
    """A class in JSON may be a number."""
    return str(value) if type(value) is int else value


def _numbers(value: object) -> object:
    """`2,3` in a query string is [2, 3] in JSON."""
    if isinstance(value, str):
        return value.split(",")
    return [value] if type(value) is int else value


def _at_least_zero(position: tuple[int, ...]) -> tuple[int, ...]:
    if min(position, default=_NOT_NEGATIVE) < _NOT_NEGATIVE:
        raise ValueError("positions are numbered from 0")
    return position


TargetName = Annotated[str, BeforeValidator(_text)]
Position = Annotated[tuple[int, ...], BeforeValidator(_numbers), AfterValidator(_at_least_zero)]


class MethodOptions(BaseModel):
    """The options of a method."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TargetOptions(MethodOptions):
    """What of the model's outputs is explained."""

    target: TargetName = Field(
        default=ARGMAX,
        max_length=200,
        description="what is explained: a class by number or name, or `argmax`, the likeliest one",
    )
    output: str | None = Field(
        default=None, max_length=200, description="the model's output by name; left out, the first"
    )
    position: Position | None = Field(
        default=None,
        max_length=8,
        description="`y,x`: one place of an output that is a map (`step` of a sequence); left out, all of them together",
    )


class LayerOptions(TargetOptions):
    """Which layer's feature maps the map is made of."""

    layer: str | None = Field(
        default=None,
        max_length=1_000,
        description="a selector of exactly one layer with rows and columns; left out, the last one",
    )


class InputOptions(TargetOptions):
    """Which input the map lies over."""

    input: str | None = Field(
        default=None,
        max_length=200,
        description="the input by name, of models with several; left out, the first that takes images",
    )


def one_run(options: MethodOptions, shape: Sequence[int]) -> int:  # noqa: ARG001
    """How many runs one image takes with a method that needs a single one."""
    return 1


@dataclass(frozen=True, kw_only=True)
class Method:
    """An attribution method.

    Attributes:
        name: what requests call it.
        title: what its paper calls it.
        place: what its maps lie over.
        is_signed: whether what speaks against the target is negative in its maps; else they have no negative values.
        has_target: whether its maps depend on what is explained.
        cost: what it takes, in words.
        paper: where it comes from: authors, year, title, address.
        options: its options, with their defaults and bounds.
        explain: makes one map an image, (images, height, width), of what a probe finds.
        runs: how many runs of the model, or of its gradient, one image takes at most, told from the options and the
            shape (height, width, channels) of the place.
        fewer_runs: what to change for fewer runs.
        is_guided: whether it needs rectifiers that let back only what is positive.
        is_gradient: whether it takes gradients; else it only runs the model.
    """

    name: str
    title: str
    place: Place
    is_signed: bool
    has_target: bool = True
    cost: str
    paper: str
    options: type[MethodOptions]
    explain: Callable[[Probe, Any], Array]
    runs: Callable[[Any, Sequence[int]], int] = one_run
    fewer_runs: tuple[str, ...] = ()
    is_guided: bool = False
    is_gradient: bool = True
