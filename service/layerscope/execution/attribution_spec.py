"""Attribution specs: which tensors of a model an attribution needs, determined before anything runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from layerscope.attribution import METHODS, Method, MethodOptions, TargetOptions
from layerscope.attribution.embeddings import embedding_of, takes_tokens
from layerscope.attribution.target_layers import (
    default_layer,
    input_geometry,
    layer_geometry,
    require_places_of_input,
    select_input,
    select_layer,
    why_no_attribution,
    why_unread,
)
from layerscope.attribution.targets import Output, Target, output_of, targets_of
from layerscope.errors import LayerscopeError, NoPicture, NotDifferentiable, OptionInvalid, TooMany
from layerscope.graph.model import LoadedModel
from layerscope.graph.runtime.derivatives import Derivative
from layerscope.graph.taps.geometry import MapGeometry
from layerscope.graph.taps.tap import Tap
from layerscope.limits import Limits
from layerscope.tensors.activations import Activations

_MOST_TRIED, _MOST_NAMED = 16, 3
"""The layers that are tried and named where another one must be chosen."""

_OF_TARGET = ("target", "output", "position", "score", "input")

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class AttributionSpec:
    """An attribution of which everything is resolved but the values.

    Attributes:
        method: the method.
        options: its options.
        target_layer: the layer that the maps lie over, or the input if the method explains inputs, or what embeds its tokens.
        input: the index of the model's input that is varied; 0 if the method varies none.
        output: the output that is explained; None if the method has no target.
        embedded: the layer whose values are varied in place of the input's, which are the ids of tokens; else None.
    """

    method: Method
    options: MethodOptions
    target_layer: Tap
    input: int
    output: Output | None
    embedded: Tap | None = None

    @property
    def taps(self) -> list[Tap]:
        """The taps that are fetched for the images as they are."""
        taps = [self.target_layer] if self.is_over_layer else []
        taps += [] if self.embedded is None else [self.embedded]
        if self.output is not None:
            taps += [self.output.tap, self.output.score_tap]
        return list(dict.fromkeys(taps))

    @property
    def is_over_layer(self) -> bool:
        """Whether the maps lie over values that a layer computes, and not over those of an input."""
        return self.method.kind == "layer" or self.embedded is not None

    @property
    def geometry(self) -> MapGeometry:
        """How the values of the target layer are maps."""
        return layer_geometry(self.target_layer) if self.is_over_layer else input_geometry(self.target_layer)

    @property
    def derivative(self) -> Derivative:
        """The gradient of the score by the target layer.

        Raises:
            NotDifferentiable: the method has no target.
        """
        if self.output is None:
            raise NotDifferentiable(f"{self.method.title} explains no output.")
        layer = self.target_layer
        # The values of a layer are known by then, and are fed: only what lies behind them runs again. An input is fed
        # anyway. A layer that folds other axes into the batch axis has no rows for single images, and cannot be fed.
        is_fed = self.is_over_layer and layer.tensor.batched and not layer.tensor.mixed
        return Derivative(self.output.score_tap, layer, self.method.is_guided, is_fed)


def resolve_output(model: LoadedModel, name: str | None) -> Output:
    """An output by name, or the first, with its logits and classes.

    Raises:
        OptionInvalid, NotDifferentiable: see `output_of`.
    """
    name, tap = output_of(model.description, name)
    return Output(name, tap, model.executable.inspection.logits(tap), model.description.output_classes[name])


def resolve_attribution(model: LoadedModel, method: Method, options: MethodOptions) -> AttributionSpec:
    """Determine which tensors a method needs.

    Raises:
        LayerscopeError: there is no such output, layer or input, or no map can be made there. The message and the details name
            layers or methods with which one can be made, if there are any.
    """
    try:
        return _resolved(model, method, options)
    except (NoPicture, NotDifferentiable) as error:
        layers, methods = _other_layers(model, method, options), _other_methods(model, method, options)
        if layers:
            way = f"Name another layer: {' or '.join(layers)}."
        elif methods:
            way = f"Use another method: {' or '.join(methods)}."
        else:
            way = "No method can explain it."
        details = {**error.details, "layers": layers, "methods": methods}
        raise type(error)(f"{error.message} {way}", **details) from error


def _resolved(model: LoadedModel, method: Method, options: MethodOptions) -> AttributionSpec:
    described, inspection = model.description, model.executable.inspection
    output = None
    if isinstance(options, TargetOptions):
        output = resolve_output(model, options.output)
    score_tap = output.score_tap if output is not None else described.outputs[0][1]
    varied = select_input(described, getattr(options, "input", None)) if _varies_input(options) else 0
    given = described.taps.select(["input"])[varied]
    is_embedded = _varies_input(options) and method.varies_amounts and takes_tokens(given)
    embedded = embedding_of(described, given) if is_embedded else None
    target_layer = _target_layer(model, method, options, score_tap, embedded or given)
    if method.has_target and not inspection.depends(score_tap, target_layer):
        message = (
            f"{score_tap.address} is not computed from {target_layer.address}, so nothing there explains it."
        )
        raise NotDifferentiable(message, target=score_tap.address, layer=target_layer.address)
    if method.kind == "layer" and _varies_input(options):
        require_places_of_input(target_layer, embedded or given)
    unread = why_unread(target_layer)
    if method.has_target and unread is not None:
        message = f"Nothing in the map of {target_layer.address} explains {score_tap.address}: {unread}"
        raise NotDifferentiable(message, target=score_tap.address, layer=target_layer.address)
    obstacle = inspection.gradient_obstacle(score_tap, target_layer) if method.is_gradient else None
    if method.has_target and obstacle is not None:
        message = f"{score_tap.address} cannot be differentiated by {target_layer.address}: {obstacle}."
        raise NotDifferentiable(message, target=score_tap.address, layer=target_layer.address)
    if method.is_guided and not inspection.is_rectified(score_tap):
        message = f"{score_tap.address} is computed without rectifiers (ReLU), which are what is guided."
        raise NotDifferentiable(message, target=score_tap.address)
    return AttributionSpec(method, options, target_layer, varied, output, embedded)


def _other_layers(model: LoadedModel, method: Method, options: MethodOptions) -> list[str]:
    """The last layers that a method can explain with the same options."""
    if "layer" not in type(options).model_fields:
        return []
    described, inputs = model.description, {tap.address for tap in model.description.taps.select(["input"])}
    possible = [
        tap.address
        for tap in reversed(described.taps.outputs())
        if tap.address not in inputs and why_no_attribution(described, method, tap) is None
    ]
    found = (
        address
        for address in possible[:_MOST_TRIED]
        if _is_possible(model, method, options.model_copy(update={"layer": address}))
    )
    return list(islice(found, _MOST_NAMED))


def _other_methods(model: LoadedModel, method: Method, options: MethodOptions) -> list[str]:
    """The methods that can explain the same target."""
    given = {name: getattr(options, name) for name in type(options).model_fields if name in _OF_TARGET}
    return [
        name
        for name, other in METHODS.items()
        if other is not method
        and _is_possible(
            model,
            other,
            other.options(
                **{name: value for name, value in given.items() if name in other.options.model_fields}
            ),
        )
    ]


def _is_possible(model: LoadedModel, method: Method, options: MethodOptions) -> bool:
    try:
        _resolved(model, method, options)
    except LayerscopeError:
        return False
    return True


def _varies_input(options: MethodOptions) -> bool:
    return "input" in type(options).model_fields


def _target_layer(
    model: LoadedModel, method: Method, options: MethodOptions, score_tap: Tap, varied: Tap
) -> Tap:
    described = model.description
    if method.kind == "input":
        return varied
    selector: str | None = getattr(options, "layer", None)
    if selector is not None:
        return select_layer(described, selector)
    inspection = model.executable.inspection

    def is_explained_by(target: Tap, layer: Tap) -> bool:
        is_refused = method.is_gradient and inspection.gradient_obstacle(target, layer) is not None
        return inspection.depends(target, layer) and not is_refused

    return default_layer(described, score_tap, is_explained_by)


def require_few_runs(spec: AttributionSpec, shape: Sequence[int], images: int, limits: Limits) -> int:
    """Check that an attribution takes no more runs than one may.

    Args:
        spec: what is attributed.
        shape: (*places, channels) of the target layer or input.
        images: the number of images.
        limits: the bounds in force.

    Returns:
        The most runs that one image takes.

    Raises:
        TooMany: all images together take more than `limits.attribution_runs`.
    """
    runs = spec.method.runs(spec.options, shape, spec.geometry.places)
    if runs * images > limits.attribution_runs:
        raise TooMany(
            f"{spec.method.title} takes {runs * images:,} runs here, more than the {limits.attribution_runs:,} one"
            " attribution may take",
            ways=(*spec.method.fewer_runs, "explain fewer images at once"),
            runs=runs * images,
            limit=limits.attribution_runs,
        )
    return runs


def resolve_targets(spec: AttributionSpec, found: Activations) -> tuple[Target, ...]:
    """The target of each image, from the values of the output; empty if the method has no target."""
    if spec.output is None:
        return ()
    values = found[spec.output.tap.address].values
    options = spec.options if isinstance(spec.options, TargetOptions) else TargetOptions()
    return tuple(targets_of(spec.output, options, values))


def cache_name(spec: AttributionSpec, target: Target | None) -> str:
    """A text that names everything that a map depends on, besides the model and the image.

    Options that were resolved to the target, the layer or the input are left out: `target=argmax` and the class that it
    stands for share one entry.
    """
    resolved = {"target", "output", "position", "score", "layer", "input"}
    options = spec.options.model_dump_json(exclude=resolved)
    key = target.key if target is not None else ""
    return f"{spec.method.name} {spec.target_layer.address} {spec.input} {options} {key}"


def require_one_row(values: Array, layer: Tap) -> None:
    """Check that the values of a layer have one row for each image.

    Raises:
        OptionInvalid: a layer before it folds other axes into the batch axis.
    """
    if values.ndim != 1 + len(layer.shape):
        message = f"{layer.address} has several maps an image, of which none can be told apart."
        raise OptionInvalid(message, option="layer", layer=layer.address)
