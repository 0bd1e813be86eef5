"""Comparisons as JSON and as pictures."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import orjson
from numpy.typing import NDArray

from layerscope.comparison import Distance, pooled
from layerscope.encode import tokens_json
from layerscope.errors import InputMismatch
from layerscope.execution.comparison_plan import ComparisonPlan
from layerscope.execution.comparison_query import Comparison, LayerComparison
from layerscope.execution.interface import QueryPlan, Result
from layerscope.limits import Limits
from layerscope.render import (
    ComparisonRow,
    EffectRow,
    PictureFormat,
    comparison_picture,
    comparison_picture_size,
    effects_picture,
    effects_picture_size,
    similarity_matrix,
    similarity_matrix_size,
)
from layerscope.tensors.activations import Activation
from layerscope_api.serializers.models import identity, result_origin

_BYTES_PER_LAYER = 1_024
_BYTES_PER_PIXEL = 8
_BYTES_PER_PAIR = 32
_BYTES_PER_VALUE = 48
_TWO = 2
_ALIGNMENT = "unbiased CKA, 1 at most: layers of the reference, and their partners in the candidate"


Features = Literal["mean", "flat"]
"""What of each image is compared: the mean of each channel, or all values."""


@dataclass(frozen=True)
class _Pair:
    """The values that a layer has for two images, and the axis of each that counts channels."""

    first: NDArray[Any]
    second: NDArray[Any]
    channel_axis: int | None


def comparison_bytes(plan: ComparisonPlan) -> int:
    """The bytes of memory that the JSON of a comparison takes."""
    pairs = len(plan.layers[0]) * len(plan.layers[1])
    named = sum(map(len, plan.fetched)) + len(plan.fused) + len(plan.rows[0])
    return _BYTES_PER_LAYER * named + _BYTES_PER_PAIR * pairs


def comparison_json(found: Comparison) -> bytes:
    """A comparison as JSON; infinities as null."""
    matrix = {"reference": found.rows, "candidate": found.columns, "cka": found.matrix}
    return orjson.dumps(
        {
            "reference": identity(found.reference).model_dump(),
            "candidate": {
                **identity(found.candidate).model_dump(),
                **({} if found.file is None else {"file": found.file}),
            },
            "images": found.images,
            "warnings": found.warnings,
            **({"edits": found.edits} if found.edits else {}),
            **({} if found.seed is None else {"seed": found.seed}),
            **({"tokens": tokens_json(found.tokens)} if found.tokens else {}),
            "verdict": found.verdict,
            "first": found.first,
            "origins": found.origins,
            "noise_floor": found.noise_floor,
            "agreement": found.agreement,
            "worst_images": found.worst_images,
            "unmatched": {"reference": found.only_reference, "candidate": found.only_candidate},
            "fused": found.fused,
            "layers": [_layer(each) for each in found.layers],
            "matrix": None if found.matrix is None else matrix,
        }
    )


def comparison_picture_bytes(plan: ComparisonPlan, limits: Limits) -> int:
    """The bytes of memory that the picture of a comparison takes.

    Raises:
        AnswerTooLarge: the picture would be too large.
    """
    if plan.query.match == "matrix":
        rows, columns = ([tap.address for tap in taps] for taps in plan.layers)
        width, height = similarity_matrix_size(rows, columns, limits)
    elif plan.is_all_pairs:
        width, height = effects_picture_size([tap.address for tap in plan.layers[0]], limits)
    else:
        names = [one.address for one, _ in plan.matching.pairs]
        width, height = comparison_picture_size(names, limits)
    return _BYTES_PER_PIXEL * width * height


def render_comparison(found: Comparison, limits: Limits, form: PictureFormat) -> bytes:
    """Draw the change of each layer, or the matrix of all pairs."""
    models = {"reference": found.reference, "candidate": found.candidate}
    metadata = {name: f"{each.name}@{each.version} {each.digest}" for name, each in models.items()}
    if found.edits:
        metadata["edits"] = "\n".join(found.edits)
    if found.matrix is not None:
        values = np.array(found.matrix, np.float64)
        return similarity_matrix(
            values, found.rows, found.columns, limits=limits, metadata=metadata, form=form
        )
    if found.verdict is None:
        return _alignment_picture(found, limits, metadata, form)
    rows = [
        ComparisonRow(
            name=each.reference,
            change=each.relative_l2,
            status=each.status,
            note=_note(each, is_origin=each.reference in found.origins),
        )
        for each in found.layers
    ]
    return comparison_picture(rows, limits=limits, metadata=metadata, form=form)


def image_comparison_bytes(plan: QueryPlan) -> int:
    """The bytes of memory that comparing two images takes.

    Raises:
        InputMismatch: there are not two images.
    """
    if plan.images != _TWO:
        raise InputMismatch(
            f"Two images are compared, and there are {plan.images}: give image=A&image=B, or two in the body.",
            images=plan.images,
        )
    return _BYTES_PER_VALUE * max(spec.size for spec in plan.specs) + _BYTES_PER_LAYER * len(plan.specs)


def image_comparison_json(result: Result, features: Features, changed_by: float) -> bytes:
    """What each layer makes of two images."""
    layers = []
    for address, each in result.activations.items():
        pair = _pair(result, each, features)
        distance = _distance(pair)
        channels = _channel_changes(pair)
        changed = None if channels is None else float(np.mean(channels > changed_by))
        layers.append(
            {
                "address": address,
                "relative_l2": distance.relative_l2,
                "max": distance.largest,
                "cosine": distance.cosine,
                "channels": 0 if channels is None else len(channels),
                "changed": changed,
            }
        )
    return orjson.dumps({**result_origin(result), "layers": layers})


def render_image_comparison(result: Result, features: Features, limits: Limits, form: PictureFormat) -> bytes:
    """Draw how far two images are apart in each layer."""
    rows = []
    for address, each in result.activations.items():
        distance = _distance(_pair(result, each, features))
        rows.append(
            ComparisonRow(
                name=address,
                change=distance.relative_l2,
                status="same" if distance.is_same else None,
                note=f"cosine {distance.cosine:.3f}",
            )
        )
    model = result.model
    metadata = {"model": f"{model.name}@{model.version}", "digest": model.digest}
    return comparison_picture(rows, limits=limits, metadata=metadata, form=form)


def image_comparison_picture_bytes(plan: QueryPlan, limits: Limits) -> int:
    """The bytes of memory that the picture of two images takes.

    Raises:
        InputMismatch: there are not two images.
        AnswerTooLarge: the picture would be too large.
    """
    width, height = comparison_picture_size([spec.address for spec in plan.specs], limits)
    return image_comparison_bytes(plan) + _BYTES_PER_PIXEL * width * height


def _layer(each: LayerComparison) -> dict[str, Any]:
    return {
        "reference": each.reference,
        "candidate": each.candidate,
        "relative_l2": each.relative_l2,
        "max": each.largest,
        "cosine": each.cosine,
        "sqnr_db": each.sqnr_db,
        "cka": each.cka and each.cka.value,
        "cka_sd": each.cka and each.cka.deviation,
        "rsa": each.rsa,
        "silent": each.silent,
        "noise_floor": each.noise_floor,
        "status": each.status,
        "reason": each.reason,
    }


def _alignment_picture(
    found: Comparison, limits: Limits, metadata: dict[str, str], form: PictureFormat
) -> bytes:
    """The CKA of each pair of the best alignment, whose values have no places in common."""
    rows = [
        EffectRow(each.reference, math.nan if each.cka is None else each.cka.value, each.candidate)
        for each in found.layers
    ]
    return effects_picture(rows, _ALIGNMENT, limits=limits, metadata=metadata, form=form)


def _note(each: LayerComparison, *, is_origin: bool) -> str:
    parts = ["begins here" if is_origin else "", each.reason or ""]
    if each.cka is not None:
        spread = "" if each.cka.deviation is None else f" +-{each.cka.deviation:.4f}"
        parts.append(f"CKA {each.cka.value:.4f}{spread}")
    return ", ".join(part for part in parts if part)


def _distance(pair: _Pair) -> Distance:
    distance = Distance()
    distance.add(pair.first, pair.second)
    return distance


def _channel_changes(pair: _Pair) -> NDArray[np.float64] | None:
    """The relative L2 of each channel; None without channels. A change from nothing but zeros is infinite."""
    axis = pair.channel_axis
    if axis is None:
        return None
    with np.errstate(all="ignore"):
        first, second = (
            np.moveaxis(np.asarray(each, np.float64), axis, 0).reshape(each.shape[axis], -1)
            for each in (pair.first, pair.second)
        )
        difference, size = (np.sqrt(np.square(each).sum(axis=1)) for each in (second - first, first))
        changes = np.where(difference == 0, 0.0, difference / size)
    return np.asarray(np.nan_to_num(changes, nan=math.inf, posinf=math.inf))


def _pair(result: Result, activation: Activation, features: Features) -> _Pair:
    """The values of two images, or the means of their channels, of texts without padding."""
    axis = activation.tap.channel_axis
    if features == "flat" or axis is None or activation.tap.axes[axis] == "tokens":
        return _Pair(activation.values[0], activation.values[1], axis)
    first, second = (
        pooled(values if kept is None else np.compress(kept, values, tokens_axis), axis)
        for values, (kept, tokens_axis) in zip(activation.values, _kept(result, activation), strict=True)
    )
    return _Pair(first, second, 0)


def _kept(result: Result, activation: Activation) -> Sequence[tuple[Sequence[bool] | None, int]]:
    """Which tokens of each text are no padding, and the axis of one image's values that counts them; None for all."""
    tokens, tokenizer, axes = result.activations.tokens, result.model.tokenizer, activation.tap.axes
    if not tokens or tokenizer is None or axes.count("tokens") != 1:
        return [(None, 0)] * len(activation.values)
    axis = axes.index("tokens")
    if len(tokens[0]) != activation.values.shape[1 + axis]:
        return [(None, 0)] * len(activation.values)
    masks = [[not tokenizer.is_padding(each) for each in text] for text in tokens]
    # A text of nothing but padding is compared as it is.
    return [(mask if any(mask) else None, axis) for mask in masks]
