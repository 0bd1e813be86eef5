"""Sweeps as JSON, as tensors and as pictures."""

from dataclasses import replace
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from layerscope.encode import Metadata
from layerscope.errors import InputMismatch
from layerscope.execution.ablation_query import Ablation, AblationPlan, Ablations, Metric, PartialAblation
from layerscope.execution.interface import MAP_AXES, QueryPlan, Result
from layerscope.limits import Limits
from layerscope.render import EffectRow, PictureFormat, effects_picture, effects_picture_size
from layerscope.tensors.activations import Activation, Activations
from layerscope.tensors.spec import AxisOfBatch, TensorSpec
from layerscope_api.serializers.attributions import number, target_row, target_text
from layerscope_api.serializers.models import layers_metadata, preprocessing_body, result_origin

_BYTES_PER_UNIT = 512
_BYTES_PER_PIXEL = 8


def ablations_of(result: Result) -> Ablations:
    """The sweep of a result."""
    if result.ablations is None:
        raise AssertionError("The query has a sweep.")
    return result.ablations


def plan_of_sweep(plan: QueryPlan) -> AblationPlan:
    """The sweep of a plan."""
    if plan.ablation is None:
        raise AssertionError("The query has a sweep.")
    return plan.ablation


def effects_spec(plan: QueryPlan) -> TensorSpec:
    """The shape and dtype of the effects, (images, *shape)."""
    swept = plan_of_sweep(plan)
    shape = (plan.images, *swept.shape)
    return TensorSpec(swept.layers[0].address, shape, np.dtype(np.float64), None, _axes(swept))


def ablation_bytes(plan: QueryPlan) -> int:
    """The bytes of memory that the JSON takes."""
    return _BYTES_PER_UNIT * effects_spec(plan).size


def ablation_json(result: Result, metric: Metric, top: int) -> bytes:
    """A sweep as JSON."""
    found = ablations_of(result)
    options, plan = found.options, found.plan
    effects = found.effects(metric)
    return orjson.dumps(
        {
            **result_origin(result),
            "layers": [tap.address for tap in plan.layers],
            "by": options.by,
            "set": options.set if options.patch is None else None,
            "patch": options.patch,
            "metric": metric,
            "shape": plan.shape,
            "regions": plan.regions,
            "complete": all(image.is_complete for image in found.images),
            "targets": [target_row(image.target) for image in found.images],
            "clean": [
                {"score": number(image.score), "output": number(image.target.value), "class": image.class_}
                for image in found.images
            ],
            "effects": [np.ascontiguousarray(each) for each in effects],
            "recoveries": None
            if options.patch is None
            else [_recoveries(plan, each) for each in found.images],
            "order": [_order(image, metric, top) for image in found.images],
            "flips": [_flips(image) for image in found.images],
            "unchanged": [image.unchanged for image in found.images],
        },
        option=orjson.OPT_SERIALIZE_NUMPY,
    )


def _recoveries(plan: AblationPlan, image: Ablation) -> NDArray[np.float64]:
    if image.recoveries is None:
        raise AssertionError("The sweep puts values of another image in place.")
    return np.ascontiguousarray(image.recoveries.reshape(plan.shape))


def partial_json(partial: PartialAblation) -> dict[str, Any]:
    """What is known of an image before its sweep is over; null for what is not."""
    return {"image": partial.image, "effects": partial.effects.tolist()}


def effects_of(result: Result, metric: Metric) -> Activations:
    """The effects as values of the layer, to be encoded like activations."""
    found = ablations_of(result)
    tap = found.plan.layers[0]
    activation = Activation(tap, found.effects(metric), None, _axes(found.plan))
    own = result.activations
    return replace(own, by_address={tap.address: activation}, hit=found.hit)


def _axes(plan: AblationPlan) -> tuple[AxisOfBatch, ...]:
    """What the axes of the effects count."""
    if plan.regions:
        return MAP_AXES
    return ("batch", "unknown") if len(plan.layers) > 1 else ("batch", "channels")


def effects_metadata(result: Result) -> Metadata:
    """The metadata that every format of tensors carries with effects."""
    model = result.model
    return Metadata(
        model=model.name, version=model.version, digest=model.digest, preprocessing=preprocessing_body(model)
    )


def require_one_image(plan: QueryPlan) -> None:
    """Check that there is one image to draw the sweep of.

    Raises:
        InputMismatch: there are several.
    """
    if plan.images != 1:
        raise InputMismatch(
            f"A picture shows the sweep of one image, and there are {plan.images}.", images=plan.images
        )


def bars_bytes(plan: QueryPlan, top: int, limits: Limits) -> int:
    """The bytes of memory that the bars take.

    Raises:
        AnswerTooLarge: the picture would be too large.
    """
    swept = plan_of_sweep(plan)
    names = [_unit_name(swept, unit) for unit in range(min(top, int(np.prod(swept.shape))))]
    width, height = effects_picture_size(names, limits)
    return ablation_bytes(plan) + _BYTES_PER_PIXEL * width * height


def render_bars(result: Result, metric: Metric, top: int, limits: Limits, form: PictureFormat) -> bytes:
    """Draw the largest effects, one row a unit."""
    found = ablations_of(result)
    (image,) = found.images
    classes = image.target.output.classes
    flips = dict(zip(*_flipped(image), strict=True))
    rows = []
    for unit in _order(image, metric, top):
        flip = None if unit not in flips else classes.name(flips[unit]) or f"class {flips[unit]}"
        note = "unchanged" if unit in image.unchanged else "" if flip is None else f"{flip} instead"
        rows.append(EffectRow(_unit_name(found.plan, unit), float(image.effects[metric][unit]), note))
    title = f"{metric} of {target_text(image.target)}: what is lost without the {found.options.by}"
    return effects_picture(rows, title, limits=limits, metadata=sweep_metadata(result, metric), form=form)


def sweep_metadata(result: Result, metric: Metric) -> dict[str, str]:
    """The text chunks of a picture file that describe the sweep."""
    found = ablations_of(result)
    options = found.options
    return {
        **layers_metadata(result.model, [tap.address for tap in found.plan.layers]),
        "by": options.by,
        "set": str(options.set) if options.patch is None else f"patch {options.patch}",
        "metric": metric,
        "target": target_text(found.images[0].target),
    }


def grid_of(result: Result, metric: Metric) -> NDArray[np.float64]:
    """The effects of the places of the only image, (rows, columns)."""
    return np.asarray(ablations_of(result).effects(metric)[0])


def _order(image: Ablation, metric: Metric, top: int) -> list[int]:
    """The units with the largest effect, largest first; those whose effect is no number are left out."""
    effects = image.effects[metric]
    largest_first = np.argsort(-effects, kind="stable")
    order: list[int] = largest_first[~np.isnan(effects[largest_first])][:top].tolist()
    return order


def _flips(image: Ablation) -> list[dict[str, int]]:
    units, classes = _flipped(image)
    return [{"unit": unit, "class": class_} for unit, class_ in zip(units, classes, strict=True)]


def _flipped(image: Ablation) -> tuple[list[int], list[int]]:
    """The units without which another class is the most likely one, and that class."""
    changed = (image.classes >= 0) & (image.classes != image.class_)
    return np.flatnonzero(changed).tolist(), image.classes[changed].tolist()


def _unit_name(plan: AblationPlan, unit: int) -> str:
    return plan.layers[unit].address if len(plan.layers) > 1 else f"{plan.layers[0].address} {unit}"
