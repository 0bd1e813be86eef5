"""The options of interventions: which layers are compared, and what the effect is measured on."""

from pydantic import Field

from layerscope.attribution.method import ScoreOptions
from layerscope_api.schemas.option_types import Selectors
from layerscope_api.schemas.options import RunOptions


class InterventionOptions(RunOptions, ScoreOptions):
    """The options of an intervention. There must be an edit."""

    layers: Selectors | None = Field(
        default=None,
        description="layer selectors, repeated or comma separated; left out, the layers that the edits change, at most 64",
    )
    top: int = Field(default=5, ge=1, le=10_000, description="how many classes, most likely first")
