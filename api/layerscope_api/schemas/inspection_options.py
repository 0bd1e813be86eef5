"""The options of inspections: predictions, statistics, links to pictures and attributions of one run."""

from typing import Literal

from pydantic import Field

from layerscope.attribution import MethodOptions, method_of
from layerscope.attribution.method import ARGMAX, Score, TargetName
from layerscope_api.schemas.option_types import Channels, Methods, Selectors
from layerscope_api.schemas.options import PredictionOptions
from layerscope_api.schemas.picture_options import FeatureMapOptions


class InspectOptions(PredictionOptions):
    """The options of an inspection: the layers, the statistics, the attributions and the look of linked pictures."""

    layers: Selectors = Field(default=["all"], description="layer selectors, repeated or comma separated")
    statistics: Literal["none", "layer", "channel"] = Field(
        default="layer", description="statistics of each layer, or of each of its channels too"
    )
    channels: Channels = Field(
        default="all", description="the channels in the pictures: `0,3,5-8`, `top:16` or `all`"
    )
    methods: Methods = Field(
        default=[],
        description="attribution methods whose heat maps come along, with their own defaults; repeated or comma separated",
    )
    target: TargetName = Field(
        default=ARGMAX,
        max_length=200,
        description="what heat maps explain: a class by number or name, or `argmax`, the likeliest one",
    )
    score: Score | None = Field(
        default=None,
        description="what heat maps take gradients of, for methods that take any; left out, the logit where the graph shows it",
    )
    colormap: str | None = Field(default=None, description="of the pictures: a name of /v1/colormaps")
    scale: int = Field(default=1, ge=1, description="integer enlargement of the pictures")

    def picture(self, layer: str) -> FeatureMapOptions:
        """The options of a layer's picture."""
        return FeatureMapOptions(
            layer=layer, channels=self.channels, colormap=self.colormap, scale=self.scale
        )

    def attribution_options(self) -> dict[str, MethodOptions]:
        """The options of each attribution, by name of its method."""
        methods = [method_of(name) for name in self.methods]
        given = {"target": self.target, "score": self.score, "seed": self.seed}
        return {
            each.name: each.options(**{n: v for n, v in given.items() if n in each.options.model_fields})
            for each in methods
        }
