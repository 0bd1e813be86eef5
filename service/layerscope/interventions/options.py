"""The option `edit`: one change of values inside a network, in JSON or as a text that can stand in an address.

conv2;channels=3,5-8;set=0              {"tap": "conv2", "channels": "3,5-8", "set": 0}
block_6_expand;region=0,0,14,7;scale=2  {"tap": "block_6_expand", "region": [0, 0, 14, 7], "scale": 2}
dense;channels=0-2;add=0.5,-1,0         {"tap": "dense", "channels": "0-2", "add": [0.5, -1, 0]}
"""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from layerscope.errors import OptionInvalid
from layerscope.tensors.channels import ChannelSelection
from layerscope.tensors.options import Region

MEAN = "mean"

_LONGEST_TEXT = 20_000
_MOST_NUMBERS = 65_536


def _listed(value: object) -> object:
    """A list of numbers: `2,3` in a text is [2, 3] in JSON, and a single number is a list of one."""
    if isinstance(value, str):
        return value.split(",")
    return [value] if isinstance(value, int | float) else value


Numbers = Annotated[
    tuple[Annotated[float, Field(allow_inf_nan=False)], ...],
    BeforeValidator(_listed),
    Field(min_length=1, max_length=_MOST_NUMBERS),
]
"""One number for all chosen channels, or one for each of them."""


class EditOptions(BaseModel):
    """One change of the values at some taps. At least one of `set`, `scale`, `add`, `low`, `high` and `patch` is needed.

    `scale`, `add`, `low` and `high` may stand together and are applied in this order; `set` and `patch` stand alone.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    tap: str = Field(
        min_length=1, max_length=1_000, description="a selector; what it selects is edited, each"
    )
    channels: str = Field(
        default="all", max_length=10_000, description="the channels to change, such as `3,5-8`; left out, all"
    )
    region: Annotated[Region, BeforeValidator(_listed)] | None = Field(
        default=None,
        description="`x0,y0,x1,y1`: the places to change, in pixels of the map, x1 and y1 excluded; left out, all",
    )
    set: Annotated[float, Field(allow_inf_nan=False)] | Literal["mean"] | None = Field(
        default=None,
        description="the number to put in place of the values, 0 to take them away; `mean`: of each channel over the places of"
        " this image",
    )
    scale: Numbers | None = Field(
        default=None, description="multiply: one number, or one for each chosen channel"
    )
    add: Numbers | None = Field(default=None, description="add: one number, or one for each chosen channel")
    low: float | None = Field(
        default=None, allow_inf_nan=False, description="the smallest value that is left"
    )
    high: float | None = Field(
        default=None, allow_inf_nan=False, description="the largest value that is left"
    )
    patch: str | None = Field(
        default=None,
        max_length=200,
        description="the id of a stored image: put its values in place of those of this image",
    )

    @model_validator(mode="after")
    def _is_one_change(self) -> Self:
        alone = [name for name in ("set", "patch") if getattr(self, name) is not None]
        others = [name for name in ("scale", "add", "low", "high") if getattr(self, name) is not None]
        if len(alone) + bool(others) != 1:
            raise ValueError("give set, or patch, or any of scale, add, low and high")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError("low must not be above high")
        return self

    @property
    def selection(self) -> ChannelSelection:
        """The channels to change.

        Raises:
            OptionInvalid: they are no list of numbers.
        """
        selection = ChannelSelection.parse(self.channels)
        if selection.top is not None:
            message = (
                f"channels={self.channels} depends on values: an edit needs numbers such as 0,3,5-8, or all."
            )
            raise OptionInvalid(message, option="edit")
        return selection

    @property
    def text(self) -> str:
        """The edit as a text that `parse_edit` reads."""
        given = self.model_dump(exclude_defaults=True, exclude={"tap"})
        tap = self.tap.replace(";", "%3B")
        return ";".join([tap, *(f"{name}={_text(value)}" for name, value in given.items())])


def parse_edit(text: str) -> EditOptions:
    """Parse an edit: a selector, then its options, all separated by semicolons.

    Raises:
        OptionInvalid: the text does not follow the grammar, or an option has an impossible value.
    """
    if len(text) > _LONGEST_TEXT:
        raise OptionInvalid(f"An edit may have {_LONGEST_TEXT} characters, not {len(text)}.", option="edit")
    tap, *parts = text.split(";")
    pairs = [part.partition("=") for part in parts if part.strip()]
    names = [name.strip() for name, _, _ in pairs]
    if not all(equals for _, equals, _ in pairs) or len(set(names)) < len(names) or "tap" in names:
        raise OptionInvalid(
            f"edit={text[:100]!r} is no edit: write it like conv2;channels=3,5-8;set=0, each option once.",
            option="edit",
        )
    values = {name: value.strip() for name, (_, _, value) in zip(names, pairs, strict=True)}
    return validated_edit({"tap": tap.strip(), **values})


def validated_edit(values: object) -> EditOptions:
    """An edit from its options, as JSON has them.

    Raises:
        OptionInvalid: an option is missing, unknown, or has an impossible value.
    """
    try:
        return EditOptions.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"][:1]) or "an edit"
        message = first["msg"].removeprefix("Value error, ")
        raise OptionInvalid(f"In edit, {where}: {message[:200]}.", option="edit") from error


def _text(value: object) -> str:
    return (
        ",".join(map(_text, value))
        if isinstance(value, tuple)
        else f"{value:.17g}"
        if isinstance(value, float)
        else str(value)
    )
