"""Attributions as JSON: the methods, and the targets and ranges of heat maps."""

from typing import Any

import numpy as np
from pydantic.fields import FieldInfo

from layerscope.attribution import METHODS, Method
from layerscope.attribution.targets import Target
from layerscope.encode import Metadata
from layerscope.execution.interface import Attribution
from layerscope_api.schemas.attributions import MethodList, MethodOption, MethodRow
from layerscope_api.serializers.models import layers_metadata, preprocessing_body


def method_list() -> MethodList:
    """Every method, with its options and their limits."""
    return MethodList(methods=[_method(each) for each in METHODS.values()])


def attribution_metadata(found: Attribution, *, values: bool) -> Metadata:
    """The metadata that every format carries with heat maps."""
    return Metadata(
        model=found.model.name,
        version=found.model.version,
        digest=found.model.digest,
        preprocessing=preprocessing_body(found.model),
        values=values,
        attribution=attribution_row(found),
    )


def picture_metadata(found: Attribution) -> dict[str, str]:
    """The text chunks of a picture file that describe the heat map: model, layer, method, options and target."""
    metadata = {
        **layers_metadata(found.model, [found.target_layer.address]),
        "method": found.method.name,
        "options": found.options.model_dump_json(exclude_none=True),
    }
    return {**metadata, "target": target_text(found.targets[0])} if found.targets else metadata


def attribution_row(found: Attribution) -> dict[str, Any]:
    """The method, what its maps lie over, its options, the range of each heat map and the targets."""
    features = found.model.features_of(found.target_layer)
    finite = np.where(np.isfinite(found.maps), found.maps, np.nan)
    return {
        "method": found.method.name,
        "place": found.method.kind,
        "layer": found.target_layer.address,
        "features": None if features is None else list(features),
        "options": found.options.model_dump(mode="json"),
        "signed": found.method.is_signed,
        "minimum": [number(np.fmin.reduce(each, axis=None)) for each in finite],
        "maximum": [number(np.fmax.reduce(each, axis=None)) for each in finite],
        "targets": [target_row(target) for target in found.targets],
    }


def _method(method: Method) -> MethodRow:
    schemas = method.options.model_json_schema()["properties"]
    return MethodRow(
        name=method.name,
        title=method.title,
        place=method.kind,
        signed=method.is_signed,
        target=method.has_target,
        cost=method.cost,
        paper=method.paper,
        options=[_option(name, field, schemas[name]) for name, field in method.options.model_fields.items()],
    )


def _option(name: str, field: FieldInfo, schema: dict[str, Any]) -> MethodOption:
    """An option, with its limits from the JSON schema. The schema of an optional value has them in one of `anyOf`."""
    merged: dict[str, Any] = {}
    for each in (schema, *schema.get("anyOf", [])):
        merged |= each
    return MethodOption(
        name=name,
        default=field.default,
        meaning=field.description or "",
        minimum=merged.get("minimum"),
        maximum=merged.get("maximum"),
        choices=merged.get("enum"),
    )


def target_row(target: Target) -> dict[str, Any]:
    """What is explained of one image, as JSON."""
    return {
        "output": target.output.name,
        "address": target.output.tap.address,
        "class": target.index,
        "name": target.name,
        "position": None if target.position is None else list(target.position),
        "value": number(target.value),
        "score": target.form,
        "measured": target.measured.address,
    }


def target_text(target: Target) -> str:
    """What is explained of one image, in words."""
    parts = [target.output.name]
    parts += [] if target.index is None else [f"class {target.index}"]
    parts += [] if target.name is None else [f"({target.name})"]
    parts += [] if target.position is None else [f"at {','.join(map(str, target.position))}"]
    return " ".join(parts)


def number(value: float) -> float | None:
    """A number as JSON; None for NaN and infinities, which JSON lacks."""
    return float(value) if np.isfinite(value) else None
