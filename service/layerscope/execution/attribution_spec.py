"""Attribution specs: which tensors of a model an attribution takes, found out before anything runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from layerscope.attribution import Method, MethodOptions, TargetOptions
from layerscope.attribution.target_layers import input_place, last_layer, layer_of
from layerscope.attribution.targets import Output, Target, output_of, targets_of
from layerscope.errors import NotDifferentiable, OptionInvalid, TooMany
from layerscope.graph.model import LoadedModel
from layerscope.graph.runtime.derivatives import Derivative
from layerscope.graph.taps.tap import Tap
from layerscope.limits import Limits
from layerscope.tensors.activations import Activations

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Question:
    """A query that was understood: which tensors it takes.

    Attributes:
        place: the layer or input that the maps lie over.
        input: the number of the input that is varied, if the method varies one.
        output: the output that is explained, if the method looks at one.
    """

    method: Method
    options: MethodOptions
    place: Tap
    input: int
    output: Output | None

    @property
    def taps(self) -> list[Tap]:
        """What is fetched of the images as they are."""
        wanted = [self.place] if self.method.place == "layer" else []
        if self.output is not None:
            wanted += [self.output.tap, self.output.measured]
        return list(dict.fromkeys(wanted))

    @property
    def derivative(self) -> Derivative:
        """The gradient by the place."""
        if self.output is None:
            raise NotDifferentiable(f"{self.method.title} explains no output.")
        # An input is fed anyway. Behind layers that fold axes into the batch axis, nothing can be.
        is_fed = self.method.place == "layer" and self.place.tensor.batched and not self.place.tensor.mixed
        return Derivative(self.output.measured, self.place, self.method.is_guided, is_fed)


def question_of(model: LoadedModel, method: Method, options: MethodOptions) -> Question:
    """Find out which tensors a method takes.

    Raises:
        LayerscopeError: there is no such output, layer or input, or no map can be made there.
    """
    described, executable = model.description, model.executable
    output = None
    if isinstance(options, TargetOptions):
        name, tap = output_of(described, options.output)
        output = Output(name, tap, executable.inspection.logits(tap), described.classes)
    measured = output.measured if output is not None else described.outputs[0][1]
    chosen_input = input_place(described, getattr(options, "input", None)) if _varies(options) else 0
    place = _place(model, method, options, measured, chosen_input)
    if method.has_target and not executable.inspection.depends(measured, place):
        message = f"{measured.address} is not computed from {place.address}, so nothing there explains it."
        raise NotDifferentiable(message, target=measured.address, layer=place.address)
    if method.is_guided and not executable.inspection.is_rectified(measured):
        message = f"{measured.address} is computed without rectifiers (ReLU), which are what is guided: use saliency."
        raise NotDifferentiable(message, target=measured.address)
    return Question(method, options, place, chosen_input, output)


def _varies(options: MethodOptions) -> bool:
    return "input" in type(options).model_fields


def _place(
    model: LoadedModel, method: Method, options: MethodOptions, measured: Tap, chosen_input: int
) -> Tap:
    described = model.description
    if method.place == "input":
        return described.taps.select(["input"])[chosen_input]
    selector: str | None = getattr(options, "layer", None)
    if selector is not None:
        return layer_of(described, selector)
    return last_layer(described, measured, model.executable.inspection.depends)


def target_options(options: MethodOptions) -> TargetOptions:
    """The part of a method's options that says what is explained."""
    if not isinstance(options, TargetOptions):
        return TargetOptions()
    return options


def require_few_runs(question: Question, shape: Sequence[int], images: int, limits: Limits) -> int:
    """The runs that one image takes at most.

    Raises:
        TooMany: all images together take more than one attribution may.
    """
    runs = question.method.runs(question.options, shape)
    if runs * images > limits.attribution_runs:
        raise TooMany(
            f"{question.method.title} takes {runs * images:,} runs here, more than the {limits.attribution_runs:,} one"
            " attribution may take",
            ways=(*question.method.fewer_runs, "explain fewer images at once"),
            runs=runs * images,
            limit=limits.attribution_runs,
        )
    return runs


def found_targets(question: Question, found: Activations) -> tuple[Target, ...]:
    """What is explained of each image, from the values of the output."""
    if question.output is None:
        return ()
    values = found[question.output.tap.address].values
    options = target_options(question.options)
    return tuple(targets_of(question.output, options, values))


def cache_name(question: Question, target: Target | None) -> str:
    """What a map depends on, besides the model and the image."""
    kept = {"target", "output", "position", "layer", "input"}
    options = question.options.model_dump_json(exclude=kept)
    said = target.key if target is not None else ""
    return f"{question.method.name} {question.place.address} {question.input} {options} {said}"


def require_one_row(values: Array, place: Tap) -> None:
    """Check that values are one map an image.

    Raises:
        OptionInvalid: a layer before them folds other axes into the batch axis.
    """
    if values.ndim != 1 + len(place.shape):
        message = f"{place.address} has several maps an image, of which none can be told apart."
        raise OptionInvalid(message, option="layer", layer=place.address)
