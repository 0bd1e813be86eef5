"""Occlusion: how much the output for the target drops when a patch of the image is covered.

    map = mean over the patches that cover a pixel of output(image) - output(image with the patch covered)

Zeiler & Fergus 2014, Visualizing and Understanding Convolutional Networks, section 4.2. As there, the outputs
themselves are compared, probabilities for most classifiers. Where covering raises the output, the map is negative. Pixels
that no patch covers, as with a stride longer than the patch, are zero.
"""

from collections.abc import Sequence
from itertools import product
from math import prod
from typing import Annotated, Literal, cast, get_args

import numpy as np
from pydantic import BeforeValidator, Field

from layerscope.attribution.baselines import Baseline, baseline_description, baseline_image
from layerscope.attribution.embeddings import TOKENS
from layerscope.attribution.method import Array, Method, VariedInputOptions, numbers
from layerscope.attribution.model_probe import Box, ModelProbe
from layerscope.errors import OptionInvalid
from layerscope.graph.taps.geometry import PLANE
from layerscope.graph.taps.tap import AxisName
from layerscope.text.vocabulary import StandIn

_PATCHES_A_SIDE = 8
_STAND_INS = get_args(StandIn)
_Cover = Literal["black", "grey", "white", "mean", "zero", "mask", "unknown", "padding"]
_LONGEST = 2**31 - 1
"""The largest side or step. Longer ones than the image are as good as its side, and the answer repeats them as numbers."""

_Side = Annotated[int, Field(ge=1, le=_LONGEST)]
_Sides = _Side | Annotated[tuple[_Side, ...], Field(min_length=1, max_length=3), BeforeValidator(numbers)]


class _Options(VariedInputOptions):
    patch: _Sides | None = Field(
        default=None,
        description="side of the patch in pixels of the input, or one for each of its axes of places: `2,14,14`; left out, an"
        " eighth of the shorter side of an image, an eighth of each axis of a series or volume, and one feature of a vector or token of a text",
    )
    stride: _Sides | None = Field(
        default=None,
        description="pixels from one patch to the next, or one number for each axis; left out, as long as the patch",
    )
    baseline: _Cover | None = Field(
        default=None,
        description=f"what covers: {baseline_description('grey')}; in the place of a token, the `mask`, `unknown` or"
        " `padding` of the model's tokenizer, the first of these that it has, or `zero`, the token with id 0",
    )


def _explain(probe: ModelProbe, options: _Options) -> Array:
    return np.stack(
        [_occluded(probe, number, whole, options) for number, whole in enumerate(probe.outputs())]
    )


def _occluded(probe: ModelProbe, number: int, whole: float, options: _Options) -> Array:
    image, cover = probe.image(number), _cover(probe, number, options.baseline)
    boxes: Sequence[Box] = list(product(*_patches(options, image.shape[:-1], probe.places)))
    patches = [tuple(slice(each.start, each.stop) for each in box) for box in boxes]
    is_changed = [not np.array_equal(image[patch], cover[patch]) for patch in patches]
    changed = [box for box, changes in zip(boxes, is_changed, strict=True) if changes]
    outputs = probe.occluded_outputs(number, changed, cover) if changed else iter(())
    drops, covers = np.zeros(image.shape[:-1]), np.zeros(image.shape[:-1])
    for patch, changes in zip(patches, is_changed, strict=True):
        drops[patch] += whole - next(outputs) if changes else 0
        covers[patch] += 1
    return drops / np.maximum(covers, 1)


def _cover(probe: ModelProbe, number: int, baseline: _Cover | None) -> Array:
    """What covers an image, in its shape.

    Raises:
        OptionInvalid: nobody knows what that is to this input.
    """
    if not probe.has_ids:
        if baseline in _STAND_INS:
            raise OptionInvalid(
                f"{baseline} stands for a token, and this input takes none: use mean or zero.",
                option="baseline",
            )
        return baseline_image(probe, number, cast("Baseline | None", baseline), "grey")
    is_known = baseline is None or baseline in _STAND_INS
    covering = (
        0 if baseline == "zero" else probe.stand_in(cast("StandIn | None", baseline)) if is_known else None
    )
    if covering is None:
        raise OptionInvalid(
            f"Which token stands for {baseline or 'none'} is not known to this model: use zero, the token with id 0, which is"
            " padding for layers of Keras, or declare a tokenizer that has a token for it (mask, unknown or padding).",
            option="baseline",
        )
    cover = np.full_like(probe.image(number), covering)
    # Padding is no token: in its place, there is nothing to take away.
    padding = probe.padding(number)
    cover[padding] = probe.image(number)[padding]
    return cover


def _patches(options: _Options, sizes: Sequence[int], places: Sequence[AxisName]) -> list[list[range]]:
    """Where patches lie along each axis, in order; the last of each axis reach its end."""
    sides = _of_each_axis("patch", options.patch, places) or _default_sides(sizes, places)
    strides = _of_each_axis("stride", options.stride, places) or sides
    return [
        [range(start, min(start + side, size)) for start in _starts(size, side, stride)]
        for size, side, stride in zip(sizes, sides, strides, strict=True)
    ]


def _of_each_axis(
    option: str, given: int | tuple[int, ...] | None, places: Sequence[AxisName]
) -> Sequence[int] | None:
    """The number of each axis, of which a single one is that of all; None if none are given.

    Raises:
        OptionInvalid: there are as many numbers as the image has no axes.
    """
    if given is None:
        return None
    numbers_of_axes = (given,) * len(places) if isinstance(given, int) else given
    if len(numbers_of_axes) != len(places):
        message = f"{option} needs one number, or one for each axis of the input ({', '.join(places)})."
        raise OptionInvalid(message, option=option, axes=list(places))
    return numbers_of_axes


def _default_sides(sizes: Sequence[int], places: Sequence[AxisName]) -> Sequence[int]:
    if tuple(places) in {("channels",), TOKENS}:
        # Features that are beside each other have nothing to do with each other, and a token is a whole.
        return [1]
    eighths = [max(1, -(-size // _PATCHES_A_SIDE)) for size in sizes]
    return [min(eighths)] * len(sizes) if tuple(places) == PLANE else eighths


def _starts(size: int, side: int, stride: int) -> Sequence[int]:
    """Where patches begin along a side: as many as it takes to come to its end."""
    return range(0, min(size, max(size - side, 0) + stride), stride)


def _runs(options: _Options, shape: Sequence[int], places: Sequence[AxisName]) -> int:
    return prod(map(len, _patches(options, shape[:-1], places)))


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
    varies_amounts=False,
    fewer_runs=("use larger patches (patch=)", "move them further (stride=)"),
)
