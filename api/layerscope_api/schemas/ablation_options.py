"""The options of sweeps: what is taken away, one unit at a time, and what the effect is measured on."""

from typing import Annotated, Literal

from pydantic import Field

from layerscope.attribution.method import ScoreOptions
from layerscope.errors import OptionInvalid
from layerscope.execution.ablation_query import AblationOptions, Metric
from layerscope.interventions import By
from layerscope_api.schemas.option_types import Selector, Selectors
from layerscope_api.schemas.options import FormatOptions
from layerscope_api.schemas.picture_options import BackgroundOptions


class SweepOptions(ScoreOptions):
    """The options of a sweep, whatever form its answer has."""

    layer: Selector | None = Field(
        default=None, description="a selector of exactly one layer, of which a unit at a time is taken away"
    )
    layers: Selectors | None = Field(
        default=None,
        description="selectors of layers that are taken away whole, one at a time; instead of layer",
    )
    by: By | None = Field(
        default=None,
        description="what a unit is: a `channel`, a `place` (a box of places in all channels) or a whole `layer`; left out,"
        " a channel of `layer`, or each of `layers`",
    )
    set: Annotated[float, Field(allow_inf_nan=False)] | Literal["mean"] = Field(
        default=0.0,
        description="what is put in place of the values: a number, or the `mean` of each channel over the places of the image",
    )
    patch: str | None = Field(
        default=None,
        max_length=200,
        description="the id of a stored image whose values are put in their place instead",
    )
    grid: int = Field(
        default=8, ge=1, le=64, description="of places, the most boxes along each side of the map"
    )
    screen: int | None = Field(
        default=None,
        ge=1,
        description="run only so many units, those with the largest effect by a first-order estimate; left out, all",
    )
    metric: Metric = Field(
        default="score",
        description="how an effect is measured: by the `score` of the target, by its `output`, or by the `distance` of the whole"
        " output (relative L2)",
    )
    top: int = Field(default=32, ge=1, le=10_000, description="how many units `order` and the bars have")


class AblationTensorOptions(FormatOptions, SweepOptions):
    """The options of a sweep as numbers."""


class AblationPictureOptions(BackgroundOptions, SweepOptions):
    """The options of a sweep as a picture; those of colours and of the image below are for places."""

    interpolation: Literal["bilinear", "nearest"] = Field(
        default="nearest", description="how the grid is enlarged; nearest shows which effect is where"
    )


def sweep_of(options: SweepOptions) -> AblationOptions:
    """What the engine takes.

    Raises:
        OptionInvalid: there is not one of layer and layers.
    """
    if (options.layer is None) == (options.layers is None):
        raise OptionInvalid(
            "Give layer to sweep its channels or places, or layers to sweep them whole.", option="layer"
        )
    names = ScoreOptions.model_fields
    return AblationOptions(
        layers=options.layers or [options.layer or ""],
        by=options.by or ("layer" if options.layers else "channel"),
        set=options.set,
        patch=options.patch,
        grid=options.grid,
        screen=options.screen,
        target=ScoreOptions(**{name: getattr(options, name) for name in names}),
    )
