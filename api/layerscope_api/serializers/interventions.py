"""Interventions as JSON: outputs and layers without edits and under them."""

from typing import Any

import orjson

from layerscope.comparison import Distance
from layerscope.execution.interface import QueryPlan, Result
from layerscope.tensors.activations import Activation
from layerscope_api.serializers.attributions import number, target_row
from layerscope_api.serializers.models import result_origin
from layerscope_api.serializers.predictions import prediction_bytes, predictions_of

_BYTES_PER_LAYER = 1_024
_BYTES_PER_IMAGE = 2_048


def intervention_bytes(plan: QueryPlan, top: int) -> int:
    """The bytes of memory that the JSON takes."""
    outputs = {tap.address for _, tap in plan.model.outputs}
    predicted = sum(prediction_bytes(spec, top) for spec in plan.specs if spec.address in outputs)
    return 2 * predicted + _BYTES_PER_LAYER * len(plan.specs) + _BYTES_PER_IMAGE * plan.images


def intervention_json(result: Result, top: int) -> bytes:
    """What edits do to images, with the `top` most likely classes of each output."""
    if result.effect is None:
        raise AssertionError("The query asks for the effect.")
    effect = result.effect
    before, after = (
        predictions_of(result.model, half, top) for half in (effect.pair.clean, effect.pair.edited)
    )
    return orjson.dumps(
        {
            **result_origin(result),
            "outputs": [_output(*both) for both in zip(before, after, strict=True)],
            "targets": [target_row(target) for target in effect.targets],
            "effects": [
                {
                    "score": number(scores[0] - scores[1]),
                    "output": number(outputs[0] - outputs[1]),
                    "recovery": number(recovery),
                }
                for scores, outputs, recovery in zip(
                    effect.scores, effect.outputs, effect.recoveries, strict=True
                )
            ],
            "layers": [
                _layer(effect.pair.clean[tap.address], effect.pair.edited[tap.address])
                for tap in effect.layers
            ],
        }
    )


def _output(clean: dict[str, Any], edited: dict[str, Any]) -> dict[str, Any]:
    before, after = clean.pop("predictions"), edited["predictions"]
    flipped = None
    if before is not None:
        flipped = [rows[0]["class"] != others[0]["class"] for rows, others in zip(before, after, strict=True)]
    return {**clean, "clean": before, "edited": after, "flipped": flipped}


def _layer(clean: Activation, edited: Activation) -> dict[str, Any]:
    distance = Distance()
    for before, after in zip(clean.values, edited.values, strict=True):
        distance.add(before, after)
    return {
        "address": edited.tap.address,
        "relative_l2": distance.relative_l2,
        "cosine": distance.cosine,
        "max": distance.largest,
    }
