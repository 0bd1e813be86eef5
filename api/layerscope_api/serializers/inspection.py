"""Inspections as JSON: predictions, statistics and attributions of one run, and links to what the run has cached."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import orjson

from layerscope.errors import LayerscopeError
from layerscope.execution.interface import Attribution, Result
from layerscope.graph.model import ModelDescription
from layerscope.limits import Limits
from layerscope.tensors.activations import Activation, Activations
from layerscope.tensors.spec import TensorSpec
from layerscope.tensors.statistics import statistics_of
from layerscope_api.schemas.inspection_options import InspectOptions
from layerscope_api.schemas.picture_options import FeatureMapOptions
from layerscope_api.serializers.attributions import attribution_row
from layerscope_api.serializers.feature_map import rendering_bytes
from layerscope_api.serializers.models import result_origin
from layerscope_api.serializers.predictions import predictions

_NO_LINKS = "There are no links: they name stored images, one an image of a model with one input."


class Links:
    """Links to the resources of an exact version of a model, so that their answers never change.

    Args:
        model: the version.
        images: the ids of stored images; None where a link cannot name the inputs, and every link is None.
        found: what the answers are of; its edits and its seed are those of the links.
    """

    def __init__(self, model: ModelDescription, images: Sequence[str] | None, found: Activations) -> None:
        self._path = f"/v1/models/{model.name}@{model.version}"
        self._images = images
        self._edits = [("edit", edit) for edit in found.edits]
        self._seed = {"seed": found.seed} if found.seed else {}

    def to(self, resource: str, options: Mapping[str, object]) -> str | None:
        """The link to a resource with these options; None without stored images."""
        if self._images is None:
            return None
        named = [("image", image) for image in self._images]
        return (
            f"{self._path}/{resource}?{urlencode([*named, *self._edits, *{**self._seed, **options}.items()])}"
        )

    def to_picture(self, options: FeatureMapOptions) -> str | None:
        """The link to the feature maps, with the options that differ from their defaults."""
        return self.to("feature-map.png", options.model_dump(exclude_defaults=True))

    def to_heat_map(self, found: Attribution) -> str | None:
        """The link to the heat map over the image; None for several images."""
        return self._to_attribution(f"{found.method.name}.png", found) if len(found.maps) == 1 else None

    def to_heat_values(self, found: Attribution) -> str | None:
        """The link to the heat maps as tensors, with the options that differ from their defaults."""
        return self._to_attribution(found.method.name, found)

    def _to_attribution(self, resource: str, found: Attribution) -> str | None:
        return self.to(f"attributions/{resource}", found.options.model_dump(exclude_defaults=True))

    def to_overlay(self, spec: TensorSpec) -> str | None:
        """The link to the overlay of a layer; None for several images, and for a layer that is no map over an image."""
        is_map = spec.why_no_map() is None and spec.shape[0] == 1
        return self.to("overlay.png", {"layer": spec.address}) if is_map else None


def inspection_json(
    result: Result, options: InspectOptions, images: Sequence[str] | None, limits: Limits
) -> bytes:
    """The predictions, the layers and the attributions of a result.

    Args:
        result: what was computed.
        options: what to report.
        images: the ids of the images for links; None where links cannot name the inputs.
        limits: the limits in force.
    """
    links, origin = Links(result.model, images, result.activations), result_origin(result)
    document = {
        **origin,
        "warnings": [*origin["warnings"], *([_NO_LINKS] if images is None else [])],
        "outputs": predictions(result, options.top),
        "layers": _layers(result, options, links, limits),
        "attributions": _attributions(result, options, links),
    }
    return orjson.dumps(document)


def _layers(result: Result, options: InspectOptions, links: Links, limits: Limits) -> list[dict[str, Any]]:
    """A row for each layer, in the order of the model: statistics and links."""
    taps = result.model.taps.select(options.layers)
    return [_layer(result.activations[tap.address], options, links, limits) for tap in taps]


def _attributions(result: Result, options: InspectOptions, links: Links) -> list[dict[str, Any]]:
    """A row for each method: the targets and links to the heat maps, or why the model cannot have it."""
    return [
        _attribution(result.attributions[name], links)
        if name in result.attributions
        else _refused(name, result.refused_methods[name])
        for name in options.methods
    ]


def _attribution(found: Attribution, links: Links) -> dict[str, Any]:
    return {
        "method": found.method.name,
        "address": found.target_layer.address,
        "shape": list(found.maps.shape),
        "attribution": attribution_row(found),
        "reason": None,
        "picture": links.to_heat_map(found),
        "values": links.to_heat_values(found),
    }


def _refused(name: str, refusal: LayerscopeError) -> dict[str, Any]:
    return {"method": name, "reason": refusal.message} | dict.fromkeys(
        ("address", "shape", "attribution", "picture", "values")
    )


def _layer(activation: Activation, options: InspectOptions, links: Links, limits: Limits) -> dict[str, Any]:
    tap = activation.tap
    look = options.picture(tap.address)
    spec = TensorSpec.of(tap, activation.values.shape)
    reason = _why_no_picture(spec, look, limits)
    return {
        "address": tap.address,
        "type": tap.layer.type,
        "shape": list(activation.values.shape),
        "statistics": _statistics(activation, options),
        "picture": None if reason else links.to_picture(look),
        "reason": reason,
        "overlay": links.to_overlay(spec),
        "values": links.to("activations", {"layers": tap.address}),
    }


def _why_no_picture(spec: TensorSpec, look: FeatureMapOptions, limits: Limits) -> str | None:
    try:
        rendering_bytes([spec], look, limits)
    except LayerscopeError as error:
        return error.message
    return None


def _statistics(activation: Activation, options: InspectOptions) -> dict[str, Any] | None:
    if options.statistics == "none":
        return None
    statistics = statistics_of(activation)
    return statistics.as_json() if options.statistics == "channel" else statistics.layer.as_json()
