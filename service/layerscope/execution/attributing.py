"""An attribution on its way: what is asked is made precise, admitted, and computed unless it is cached."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from layerscope.attribution import Method, MethodOptions, TargetOptions
from layerscope.attribution.target_layers import input_place, last_layer, layer_of
from layerscope.attribution.targets import Output, Target, output_of, targets_of
from layerscope.errors import NotDifferentiable, OptionInvalid, TooMany
from layerscope.execution.inputs import Sources
from layerscope.graph.model import LoadedModel, ModelDescription
from layerscope.graph.runtime.derivatives import Derivative
from layerscope.graph.taps.tap import Tap
from layerscope.limits import Limits
from layerscope.tensors.activations import Activation, Activations
from layerscope.tensors.spec import TensorSpec
from layerscope.tensors.timing import Stage

Array = np.ndarray[Any, np.dtype[Any]]

Progress = Callable[[int, int], None]
"""Is told how many runs are done, and of how many."""


def no_progress(_done: int, _total: int) -> None:
    """Nobody wants to know."""


@dataclass(frozen=True, kw_only=True)
class AttributionQuery:
    """What is to be explained, and how.

    Attributes:
        model: `name`, `name@version` or `name@label`.
        sources: images or tensors by input name.
        method: how, see `layerscope.attribution.METHODS`.
        options: its options, of `method.options`; left out, the defaults.
        is_wanted: tells whether somebody still waits for the answer; what nobody waits for does not run.
        admit: is shown what the maps will be, before anything runs, and raises if the answer would be impossible; else
            it returns the bytes that making the answer takes at most.
        progress: is told how many runs are done; called from the thread that asks, and only if there is more than one.
    """

    model: str
    sources: Sources
    method: Method
    options: MethodOptions | None = None
    is_wanted: Callable[[], bool] = lambda: True
    admit: Callable[[Sequence[TensorSpec]], int] | None = None
    progress: Progress = no_progress

    @property
    def chosen(self) -> MethodOptions:
        """The options in force."""
        return self.method.options() if self.options is None else self.options


@dataclass(frozen=True)
class Attribution:
    """Where in images the reasons lie.

    Attributes:
        model: which model.
        method: which method.
        options: the options that were in force.
        place: the layer or the input that the maps lie over.
        targets: what is explained, one an image; empty for methods that look at no target.
        maps: float32 of shape (images, height, width), as the method's paper defines them, not scaled. They cover the
            whole input, whatever their own size.
        images: the names of the images.
        stages: where the time went.
        hit: whether nothing had to run.
    """

    model: ModelDescription
    method: Method
    options: MethodOptions
    place: Tap
    targets: tuple[Target, ...]
    maps: Array = field(repr=False)
    images: tuple[str, ...]
    stages: Sequence[Stage]
    hit: bool

    @property
    def activations(self) -> Activations:
        """The maps as if they were values of the place, to be encoded like those."""
        maps = Activation(self.place, self.maps, None)
        return Activations(
            {self.place.address: maps}, self.images, self.model.warnings, self.stages, self.hit
        )


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
