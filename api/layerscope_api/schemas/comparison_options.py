"""The options of comparisons: of two models on the same images, and of two images in one model."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from layerscope.comparison import Rule, Tolerance
from layerscope.errors import OptionInvalid
from layerscope.execution.comparison_query import MEASURES, Match
from layerscope_api.schemas.option_types import Edits, Selectors, as_list
from layerscope_api.schemas.options import LayersOptions, RunOptions


def _read_measures(values: Sequence[str]) -> list[str]:
    names = list(dict.fromkeys(name.strip() for value in values for name in value.split(",") if name.strip()))
    for name in names:
        if name not in MEASURES:
            raise OptionInvalid(
                f"There is no measure {name[:50]!r}: there are {', '.join(MEASURES)}.", option="measures"
            )
    return names


def _read_rules(values: Sequence[str]) -> list[str]:
    rules = [rule.strip() for value in values for rule in value.split(",") if rule.strip()]
    for rule in rules:
        Rule(rule)
    return rules


Measures = Annotated[list[str], BeforeValidator(as_list), AfterValidator(_read_measures)]
Rules = Annotated[list[str], BeforeValidator(as_list), AfterValidator(_read_rules), Field(max_length=64)]


class ComparisonOptions(RunOptions):
    """The options of a comparison of two models."""

    reference: str = Field(max_length=200, description="the trusted model: name, name@version or name@label")
    candidate: str = Field(
        max_length=200,
        description="the model that is compared with it, or a `.tflite` file beside one: name@version/model.tflite",
    )
    layers: Selectors = Field(default=["all"], description="layer selectors, repeated or comma separated")
    measures: Measures = Field(
        default=["relative_l2", "max", "cosine", "cka"],
        description="relative_l2, max, cosine, sqnr_db, cka or rsa; repeated or comma separated",
    )
    match: Match = Field(
        default="address",
        description="layers of equal address; renamed by `rules`; in the `best` alignment; or all pairs (`matrix`)",
    )
    rules: Rules = Field(
        default=[],
        description="reference=candidate with the same wildcards, as backbone/**=encoder/**; repeat it",
    )
    features: Literal["mean", "flat"] = Field(
        default="mean", description="CKA and RSA of the mean of each channel, or of all values"
    )
    most: float = Field(default=0.01, ge=0, description="largest relative L2 of a layer that is no drift")
    most_outputs: float | None = Field(default=None, ge=0, description="the same of the model's outputs")
    least_agreement: float = Field(
        default=0, ge=0, le=1, description="least share of images that keep their most likely class"
    )
    edit: Edits = Field(
        default=[],
        description="a change inside the candidate, such as `conv2;channels=3,5-8;set=0`; repeat it for several",
    )

    @property
    def tolerance(self) -> Tolerance:
        """What is no drift."""
        return Tolerance(self.most, self.most_outputs, self.least_agreement)


class ImageComparisonPictureOptions(LayersOptions):
    """The options of a picture of a comparison of two images in one model."""

    features: Literal["mean", "flat"] = Field(
        default="flat",
        description="what is compared: all values place by place, or the mean of each channel, of texts over their tokens"
        " without padding",
    )


class ImageComparisonOptions(ImageComparisonPictureOptions):
    """The options of a comparison of two images in one model."""

    changed_by: float = Field(
        default=0.1, ge=0, description="relative L2 from which on a channel counts as changed"
    )
