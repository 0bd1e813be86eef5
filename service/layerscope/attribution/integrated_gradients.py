"""Integrated gradients: the share of each pixel in the difference between the scores of image and baseline.

    map = sum over channels of (image - baseline) * mean over n of d score / d image,
          at baseline + (n + 1/2) / steps * (image - baseline)

Sundararajan et al. 2017, Axiomatic Attribution for Deep Networks, eq. (1), by the midpoint rule. The map sums up to
score(image) - score(baseline), with an error that shrinks with the number of steps. Evidence against the target is negative.
"""

from collections.abc import Sequence

import numpy as np
from pydantic import Field

from layerscope.attribution.baselines import Baseline, baseline_description, baseline_image
from layerscope.attribution.maps import mean_gradients
from layerscope.attribution.method import Array, InputOptions, Method
from layerscope.attribution.model_probe import ModelProbe
from layerscope.graph.taps.tap import AxisName


class _Options(InputOptions):
    steps: int = Field(
        default=50, ge=1, le=1_000, description="points on the way from the baseline to the image"
    )
    baseline: Baseline | None = Field(
        default=None, description=f"where the way begins: {baseline_description('black')}"
    )


def _explain(probe: ModelProbe, options: _Options) -> Array:
    return np.stack([_integrated(probe, number, options) for number in range(probe.images)])


def _integrated(probe: ModelProbe, number: int, options: _Options) -> Array:
    start = baseline_image(probe, number, options.baseline, "black")
    way = probe.image(number) - start

    def point(step: int) -> Array:
        version: Array = start + np.float32((step + 0.5) / options.steps) * way
        return version

    shares: Array = (way * mean_gradients(probe, number, options.steps, point)).sum(axis=-1)
    return shares


def _runs(options: _Options, shape: Sequence[int], places: Sequence[AxisName]) -> int:  # noqa: ARG001
    return options.steps


INTEGRATED_GRADIENTS = Method(
    name="integrated-gradients",
    title="Integrated gradients",
    kind="input",
    is_signed=True,
    cost="a gradient for each of `steps`",
    paper="Sundararajan et al. 2017, Axiomatic Attribution for Deep Networks, https://arxiv.org/abs/1703.01365",
    options=_Options,
    explain=_explain,
    runs=_runs,
    fewer_runs=("use fewer steps",),
)
