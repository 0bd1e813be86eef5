"""Attribution methods as data: a name, options, a cost, a paper, and the function that computes the maps."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from layerscope.attribution.model_probe import ModelProbe
from layerscope.graph.taps.tap import AxisName

Array = np.ndarray[Any, np.dtype[Any]]

MethodKind = Literal["layer", "input"]
"""What a map lies over: the feature maps of a layer, or the pixels of an input."""

ARGMAX = "argmax"
"""The target that stands for the likeliest class of each image."""

_NOT_NEGATIVE = 0


def _text(value: object) -> object:
    """A class as text: in JSON it may be a number."""
    return str(value) if type(value) is int else value


def numbers(value: object) -> object:
    """A list of numbers: `2,3` in a query string is [2, 3] in JSON."""
    if isinstance(value, str):
        return value.split(",")
    return [value] if type(value) is int else value


def _at_least_zero(position: tuple[int, ...]) -> tuple[int, ...]:
    if min(position, default=_NOT_NEGATIVE) < _NOT_NEGATIVE:
        raise ValueError("positions are numbered from 0")
    return position


Score = Literal["logit", "log_probability", "probability"]
"""What of a class is differentiated, if the caller says it."""

TargetName = Annotated[str, BeforeValidator(_text)]
Position = Annotated[tuple[int, ...], BeforeValidator(numbers), AfterValidator(_at_least_zero)]


class MethodOptions(BaseModel):
    """The options of a method. Each method has a subclass with its own."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TargetOptions(MethodOptions):
    """The options that choose which of the model's outputs is explained."""

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


class ScoreOptions(TargetOptions):
    """The options of methods that compute with a score of the target."""

    score: Score | None = Field(
        default=None,
        description="of what gradients are taken: the `logit` of a class; its `log_probability`, which counts against it what"
        " speaks for other classes; or its `probability`. Left out, the logit where the graph shows it, else the logarithm,"
        " or the output itself if it is no probability",
    )


class LayerOptions(ScoreOptions):
    """The options of methods that make a map from the feature maps of a layer."""

    layer: str | None = Field(
        default=None,
        max_length=1_000,
        description="a selector of exactly one layer that is a map over the image; left out, the last one",
    )


class VariedInputOptions(TargetOptions):
    """The options of methods that vary an input."""

    input: str | None = Field(
        default=None,
        max_length=200,
        description="the input by name, of models with several; left out, the first that takes images",
    )


class InputOptions(ScoreOptions, VariedInputOptions):
    """The options of methods whose map is made of the gradient of an input."""


def one_run(options: MethodOptions, shape: Sequence[int], places: Sequence[AxisName]) -> int:  # noqa: ARG001
    """How many runs one image takes with a method that needs a single one."""
    return 1


@dataclass(frozen=True, kw_only=True)
class Method:
    """An attribution method.

    Attributes:
        name: what requests call it.
        title: what its paper calls it.
        kind: what its maps lie over: a `layer` or an `input`.
        is_signed: whether evidence against the target is negative in its maps. Otherwise no value is negative.
        has_target: whether its maps depend on the target.
        cost: the runs that it takes, in words.
        paper: its source: authors, year, title, address.
        options: the class of its options, with defaults and bounds.
        explain: computes one map for each image, (images, *places), with a probe and the options.
        runs: the most runs of the model, or of its gradient, that one image takes, computed from the options and the
            shape (*places, channels) of the target layer or input, and what its places count.
        fewer_runs: what a caller can change so that it takes fewer runs.
        is_guided: whether gradients pass rectifiers only where they are positive (guided backpropagation).
        is_gradient: whether it takes gradients. Otherwise it only runs the model forwards.
        varies_amounts: whether it computes with the values of an input as amounts, which the ids of tokens are not: then it
            varies what these are embedded as. Otherwise it puts other values in their place.
    """

    name: str
    title: str
    kind: MethodKind
    is_signed: bool
    has_target: bool = True
    cost: str
    paper: str
    options: type[MethodOptions]
    explain: Callable[[ModelProbe, Any], Array]
    runs: Callable[[Any, Sequence[int], Sequence[AxisName]], int] = one_run
    fewer_runs: tuple[str, ...] = ()
    is_guided: bool = False
    is_gradient: bool = True
    varies_amounts: bool = True
