"""Occlusion: how much the output for the target drops when a patch of the image is covered.

    map = mean over the patches that cover a pixel of output(image) - output(image with the patch covered)

Zeiler & Fergus 2014, Visualizing and Understanding Convolutional Networks, section 4.2. As there, the outputs
themselves are compared, probabilities for most classifiers. Where covering raises the output, the map is negative. Pixels
that no patch covers, as with a stride longer than the patch, are zero.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from layerscope.attribution.baselines import Baseline, baseline_description, baseline_image
from layerscope.attribution.method import Array, Method, VariedInputOptions
from layerscope.attribution.model_probe import Box, ModelProbe

_PATCHES_A_SIDE = 8
_LONGEST = 2**31 - 1
"""The largest side or step. Longer ones than the image are as good as its side, and the answer repeats them as numbers."""


class _Options(VariedInputOptions):
    patch: int | None = Field(
        default=None,
        ge=1,
        le=_LONGEST,
        description="side of the patch in pixels of the input; left out, an eighth of the shorter side",
    )
    stride: int | None = Field(
        default=None,
        ge=1,
        le=_LONGEST,
        description="pixels from one patch to the next; left out, as long as the patch",
    )
    baseline: Baseline | None = Field(
        default=None, description=f"what covers: {baseline_description('grey')}"
    )


@dataclass(frozen=True)
class _Patches:
    """Squares over an image, in reading order; the last of each row and column reach its border."""

    side: int
    tops: Sequence[int]
    lefts: Sequence[int]

    @property
    def count(self) -> int:
        return len(self.tops) * len(self.lefts)

    def boxes(self, height: int, width: int) -> list[Box]:
        return [
            (range(top, min(top + self.side, height)), range(left, min(left + self.side, width)))
            for top in self.tops
            for left in self.lefts
        ]


def _explain(probe: ModelProbe, options: _Options) -> Array:
    return np.stack(
        [_occluded(probe, number, whole, options) for number, whole in enumerate(probe.outputs())]
    )


def _occluded(probe: ModelProbe, number: int, whole: float, options: _Options) -> Array:
    image, cover = probe.image(number), baseline_image(probe, number, options.baseline, "grey")
    height, width = image.shape[:2]
    boxes = _patches(options, image.shape).boxes(height, width)
    outputs = probe.occluded_outputs(number, boxes, cover)
    drops, covers = np.zeros((height, width)), np.zeros((height, width))
    for (rows, columns), output in zip(boxes, outputs, strict=True):
        patch = slice(rows.start, rows.stop), slice(columns.start, columns.stop)
        drops[patch] += whole - output
        covers[patch] += 1
    return drops / np.maximum(covers, 1)


def _patches(options: _Options, shape: Sequence[int]) -> _Patches:
    height, width = shape[:2]
    side = options.patch or max(1, -(-min(height, width) // _PATCHES_A_SIDE))
    stride = options.stride or side
    return _Patches(side, _starts(height, side, stride), _starts(width, side, stride))


def _starts(size: int, side: int, stride: int) -> Sequence[int]:
    """Where patches begin along a side: as many as it takes to come to its end."""
    return range(0, min(size, max(size - side, 0) + stride), stride)


def _runs(options: _Options, shape: Sequence[int]) -> int:
    return _patches(options, shape).count


OCCLUSION = Method(
    name="occlusion",
    title="Occlusion",
    kind="input",
    is_signed=True,
    cost="a run for each patch",
    paper="Zeiler & Fergus 2014, Visualizing and Understanding Convolutional Networks,"
    " https://arxiv.org/abs/1311.2901",
    options=_Options,
    explain=_explain,
    runs=_runs,
    is_gradient=False,
    fewer_runs=("use larger patches (patch=)", "move them further (stride=)"),
)
