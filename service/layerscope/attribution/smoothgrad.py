"""SmoothGrad: saliency of the mean gradient over noisy versions of the image.

    map = max over channels of |mean over n of d score / d image, at image + noise_n|

Smilkov et al. 2017, SmoothGrad: removing noise by adding noise. The noise is normal, with a standard deviation of
`noise` times the range of the image's values, and the same for the same seed, whatever the image.
"""

from collections.abc import Sequence

import numpy as np
from pydantic import Field

from layerscope.attribution.maps import magnitude, mean_gradients
from layerscope.attribution.method import Array, InputOptions, Method
from layerscope.attribution.model_probe import ModelProbe
from layerscope.graph.taps.tap import AxisName


class _Options(InputOptions):
    samples: int = Field(default=25, ge=1, le=1_000, description="how many noisy versions of the image")
    noise: float = Field(
        default=0.15,
        ge=0,
        le=10,
        description="standard deviation, as a part of the range of the image's values",
    )
    seed: int = Field(default=0, ge=0, le=2**32 - 1, description="what the noise is made of")


def _explain(probe: ModelProbe, options: _Options) -> Array:
    return np.stack([_smooth(probe, number, options) for number in range(probe.images)])


def _smooth(probe: ModelProbe, number: int, options: _Options) -> Array:
    image = probe.image(number)
    deviation = np.float32(options.noise) * (image.max() - image.min())

    def noisy(sample: int) -> Array:
        random = np.random.default_rng((options.seed, sample))
        version: Array = image + deviation * random.standard_normal(image.shape, np.float32)
        return version

    return magnitude(probe, mean_gradients(probe, number, options.samples, noisy))


def _runs(options: _Options, shape: Sequence[int], places: Sequence[AxisName]) -> int:  # noqa: ARG001
    return options.samples


SMOOTHGRAD = Method(
    name="smoothgrad",
    title="SmoothGrad",
    kind="input",
    is_signed=False,
    cost="a gradient for each of `samples`",
    paper="Smilkov et al. 2017, SmoothGrad: removing noise by adding noise, https://arxiv.org/abs/1706.03825",
    options=_Options,
    explain=_explain,
    runs=_runs,
    fewer_runs=("use fewer samples",),
)
