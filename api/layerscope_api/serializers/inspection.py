"""All there is to see of images after one run, and the links that lead to it without another."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from layerscope.errors import LayerscopeError
from layerscope.execution.interface import Attribution, Result
from layerscope.graph.model import ModelDescription
from layerscope.limits import Limits
from layerscope.tensors.activations import Activation
from layerscope.tensors.spec import TensorSpec
from layerscope.tensors.statistics import statistics_of
from layerscope_api.schemas.inspection_options import InspectOptions
from layerscope_api.schemas.picture_options import FeatureMapOptions
from layerscope_api.serializers.attributions import attribution_row
from layerscope_api.serializers.feature_map import drawing_bytes


class Links:
    """Addresses of what there is to see of images, by the exact version of the model: they stay true.

    Without ids of `images` there are none.
    """

    def __init__(self, model: ModelDescription, images: Sequence[str] | None) -> None:
        self._path = f"/v1/models/{model.name}@{model.version}"
        self._images = images

    def to(self, resource: str, options: Mapping[str, object]) -> str | None:
        """The address of what a GET with these options answers; None where there is none."""
        if self._images is None:
            return None
        named = [("image", image) for image in self._images]
        return f"{self._path}/{resource}?{urlencode([*named, *options.items()])}"

    def to_picture(self, options: FeatureMapOptions) -> str | None:
        """Only options that were chosen are in it."""
        return self.to("feature-map.png", options.model_dump(exclude_defaults=True))

    def to_heat_map(self, found: Attribution) -> str | None:
        """None where there are several images."""
        return self._to_attribution(f"{found.method.name}.png", found) if len(found.maps) == 1 else None

    def to_heat_values(self, found: Attribution) -> str | None:
        """Only options that were chosen are in it."""
        return self._to_attribution(found.method.name, found)

    def _to_attribution(self, resource: str, found: Attribution) -> str | None:
        return self.to(f"attributions/{resource}", found.options.model_dump(exclude_defaults=True))

    def to_overlay(self, spec: TensorSpec) -> str | None:
        """None where a layer has no rows and columns, or there are several images."""
        is_map = len(spec.spatial_axes) == 2 and spec.shape[0] == 1 and spec.size > 0
        return self.to("overlay.png", {"layer": spec.address}) if is_map else None


def inspected(result: Result, options: InspectOptions, links: Links, limits: Limits) -> list[dict[str, Any]]:
    """A row a layer: statistics and links."""
    taps = result.model.taps.select(options.layers)
    return [_row(result.activations[tap.address], options, links, limits) for tap in taps]


def explained(result: Result, options: InspectOptions, links: Links) -> list[dict[str, Any]]:
    """A row a method: what was explained, and links to its heat maps."""
    return [
        _explained(result.attributions[name], links)
        if name in result.attributions
        else _unexplained(name, result.refused_methods[name])
        for name in options.methods
    ]


def _explained(found: Attribution, links: Links) -> dict[str, Any]:
    return {
        "method": found.method.name,
        "address": found.place.address,
        "shape": list(found.maps.shape),
        "attribution": attribution_row(found),
        "reason": None,
        "picture": links.to_heat_map(found),
        "values": links.to_heat_values(found),
    }


def _unexplained(name: str, refusal: LayerscopeError) -> dict[str, Any]:
    return {"method": name, "reason": refusal.message} | dict.fromkeys(
        ("address", "shape", "attribution", "picture", "values")
    )


def _row(activation: Activation, options: InspectOptions, links: Links, limits: Limits) -> dict[str, Any]:
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
        drawing_bytes([spec], look, limits)
    except LayerscopeError as error:
        return error.message
    return None


def _statistics(activation: Activation, options: InspectOptions) -> dict[str, Any] | None:
    if options.statistics == "none":
        return None
    figures = statistics_of(activation)
    return figures.as_json() if options.statistics == "channel" else figures.layer.as_json()
