"""Targets: the number of a model's output that is explained, and the score that is differentiated in its place.

Near certainty, a softmax or a sigmoid is flat, and a gradient through it is almost zero everywhere. So the *score* of a
class is one of these, unless the caller chooses one:

    logits   the input of the softmax or sigmoid, where the graph has it
    log      otherwise the logarithm of the probability
    output   the output itself, where it is no probability

Where the graph has the logits, every score is computed from them, in float64: there the logarithm of a probability has its
gradient even where the probability is 0 or 1 to the last bit. See `layerscope.attribution.scores`.

Where a single sigmoid stands for two classes (`OutputClasses.is_pair`), its logit is the score of class 1, and the negative
logit that of class 0.

Where the output is a map with a class at every position, the score is that of one position, or the sum over all of them
(Vinogradova et al. 2020, Towards Interpretable Semantic Segmentation via Gradient-weighted Class Activation Mapping).
"""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from layerscope.attribution.method import ARGMAX, Array, ScoreOptions, TargetOptions
from layerscope.attribution.scores import derivative, squashed
from layerscope.errors import NotDifferentiable, OptionInvalid
from layerscope.graph.analysis.logits import Logits
from layerscope.graph.analysis.output_classes import OutputClasses
from layerscope.graph.model import ModelDescription
from layerscope.graph.runtime.obstacles import is_explainable
from layerscope.graph.taps.tap import Tap

Form = Literal["logits", "log", "probability", "output"]

_SUM_TO_ONE = 1e-3

_NOT_IN_KEY = frozenset({"output", "name", "value"})
"""The attributes of a target that its key need not have. The output is in the key by its addresses."""


@dataclass(frozen=True)
class Output:
    """One output of a model, with its last activation function and its classes."""

    name: str
    tap: Tap
    logits: Logits
    classes: OutputClasses

    @property
    def score_tap(self) -> Tap:
        """The tap that the score is read from and differentiated at."""
        return self.logits.tap or self.tap

    @property
    def channel_axis(self) -> int:
        """The axis of classes in the values of one image; 0 where there is a single number."""
        return self.tap.channel_axis or 0


@dataclass(frozen=True)
class Target:
    """The number of an output that is explained for one image.

    Attributes:
        output: the output.
        form: how its score is computed; `output` if its method compares outputs themselves.
        index: the class; None for the only number of an output that has no classes.
        name: the class's name, if the model declares names.
        position: the position in an output that is a map; None for all of it.
        value: the value of the output: a probability for most classifiers. The sum, if it is that of a whole map.
    """

    output: Output
    form: Form
    index: int | None
    name: str | None
    position: tuple[int, ...] | None
    value: float = float("nan")

    @property
    def key(self) -> str:
        """A text that names everything that its score and its value depend on, for caches and for names of jobs.

        That is all that it has, but for what follows from the rest: a field that is added is in the key by itself.
        """
        own = {name: value for name, value in vars(self).items() if name not in _NOT_IN_KEY}
        return f"{self.output.tap.address} {self.output.score_tap.address} {own}"

    @property
    def is_linear(self) -> bool:
        """Whether `weights` are the same for all values."""
        return self.form in {"logits", "output"}

    @property
    def measured(self) -> Tap:
        """The tap whose values the score is computed from."""
        return self.output.tap if self.form == "output" else self.output.score_tap

    def weights(self, values: Array) -> Array:
        """The derivative of the score by each value: what the gradient of the values is multiplied with.

        Args:
            values: of `output.score_tap`, for one image.
        """
        where = self._where(values.ndim)
        chosen = np.zeros(values.shape, np.float64)
        chosen[where] = self._sign
        if self.is_linear:
            return chosen
        is_log, activation = self.form == "log", self.output.logits.activation
        if activation is not None and self.output.logits.tap is not None:
            return derivative(activation, self._sign * values, chosen, log=is_log)
        if is_log:
            chosen[where] /= _positive(self._probabilities(self._chosen(values)))
        return chosen

    def scores(self, values: Array) -> Array:
        """The scores of (rows, *shape) values of `output.score_tap`."""
        if self.is_linear:
            return _sums(self._sign * self._chosen(values))
        is_log, activation = self.form == "log", self.output.logits.activation
        if activation is not None and self.output.logits.tap is not None:
            return _sums(squashed(activation, self._sign * values, log=is_log)[self._where(values.ndim)])
        probabilities = self._probabilities(self._chosen(values))
        return _sums(np.log(_positive(probabilities)) if is_log else probabilities)

    def outputs(self, values: Array) -> Array:
        """The target in (rows, *shape) values of the output itself."""
        return _sums(self._probabilities(self._chosen(values)))

    @property
    def _sign(self) -> float:
        return -1.0 if self._is_other else 1.0

    @property
    def _is_other(self) -> bool:
        return self.output.classes.is_pair and self.index == 0

    def _probabilities(self, chosen: Array) -> Array:
        return 1 - chosen if self._is_other else chosen

    def _chosen(self, values: Array) -> Array:
        return np.asarray(values[self._where(values.ndim)], np.float64)

    def _where(self, axes: int) -> tuple[Any, ...]:
        """The index of the target's values. It counts from the last axis, because an axis of rows may come first."""
        if not self.output.tap.shape:
            return (...,)
        places: list[Any] = list(self.position or [slice(None)] * (len(self.output.tap.shape) - 1))
        places.insert(self.output.channel_axis, 0 if self.output.classes.is_pair else self.index or 0)
        return (*[slice(None)] * (axes - len(places)), *places)


def output_of(model: ModelDescription, name: str | None) -> tuple[str, Tap]:
    """An output by name, or the first.

    Raises:
        NotDifferentiable: it does not have floating point values, separate for each image.
        OptionInvalid: there is no such output.
    """
    outputs = dict(model.outputs)
    chosen = model.outputs[0][0] if name is None else name
    if chosen not in outputs:
        message = f"{model.name} has no output {chosen[:80]!r}: name one of {', '.join(outputs)}."
        raise OptionInvalid(message, option="output", outputs=list(outputs))
    tap = outputs[chosen]
    if not is_explainable(tap):
        message = (
            f"Output {chosen} gives no number in fractions for each image, which is what can be explained."
        )
        raise NotDifferentiable(message, output=chosen, dtype=tap.dtype.name)
    return chosen, tap


def targets_of(output: Output, options: TargetOptions, values: Array) -> list[Target]:
    """The target of each image.

    Args:
        output: the output.
        options: what the caller chose.
        values: of the output, (images, *shape).

    Raises:
        OptionInvalid: there is no such class or position.
    """
    if values.ndim != 1 + len(output.tap.shape):
        message = f"Output {output.name} has several rows an image, of which none can be told apart."
        raise OptionInvalid(message, option="output")
    return [_target(output, options, row) for row in values]


def _target(output: Output, options: TargetOptions, values: Array) -> Target:
    position = _position(output, options.position, values.shape)
    chances = output.classes.values(_at(values, output.channel_axis, position))
    index = _class(output, options.target, chances)
    has_classes = len(chances) > 1 or output.classes.is_probability
    target = Target(
        output=output,
        form=_form(output, options, values),
        index=index if has_classes else None,
        name=output.classes.name(index),
        position=position,
    )
    return _with_value(target, values)


def _with_value(target: Target, values: Array) -> Target:
    return Target(**{**vars(target), "value": float(target.outputs(values[np.newaxis])[0])})


def _at(values: Array, axis: int, position: tuple[int, ...] | None) -> Array:
    """The value of each class at a position, or its mean over all positions: (classes,)."""
    by_class = np.moveaxis(np.atleast_1d(values).astype(np.float64), axis, -1)
    if position is not None:
        by_class = by_class[position]
    return np.asarray(by_class.reshape(-1, by_class.shape[-1]).mean(axis=0))


def _class(output: Output, wanted: str, chances: Array) -> int:
    if wanted == ARGMAX:
        return int(np.argmax(np.where(np.isnan(chances), -np.inf, chances)))
    if wanted.isascii() and wanted.isdigit():
        number = int(wanted)
    elif output.classes.names and wanted in output.classes.names:
        number = output.classes.names.index(wanted)
    else:
        raise _no_class(output, wanted)
    if number >= len(chances):
        one = "" if len(chances) > 1 else " Two declared class names make two classes of a single sigmoid."
        message = f"Output {output.name} has {len(chances)} classes, numbered from 0: there is no {wanted[:20]}.{one}"
        raise OptionInvalid(message, option="target", classes=len(chances))
    return number


def _no_class(output: Output, wanted: str) -> OptionInvalid:
    near = difflib.get_close_matches(wanted, output.classes.names or (), n=3)
    hint = f" Did you mean {' or '.join(near)}?" if near else f" Give a number, or {ARGMAX}."
    return OptionInvalid(
        f"Output {output.name} has no class named {wanted[:80]!r}.{hint}", option="target", near=near
    )


def _position(
    output: Output, position: tuple[int, ...] | None, shape: Sequence[int]
) -> tuple[int, ...] | None:
    if position is None:
        return None
    sizes = [size for axis, size in enumerate(shape) if axis != output.channel_axis]
    if len(position) != len(sizes) or any(at >= size for at, size in zip(position, sizes, strict=True)):
        said = "x".join(map(str, sizes))
        message = (
            f"Output {output.name} is a map of {said} places, numbered from 0; there is no such position."
            if sizes
            else f"Output {output.name} is no map: it has no positions."
        )
        raise OptionInvalid(message, option="position", sizes=sizes)
    return position


def _form(output: Output, options: TargetOptions, values: Array) -> Form:
    if not isinstance(options, ScoreOptions):
        return "output"
    has_logits = output.logits.tap is not None
    if options.score == "logit" and not has_logits:
        message = (
            f"The graph shows no softmax or sigmoid at output {output.name}, so its logits are not known: choose another"
            " score, or none."
        )
        raise OptionInvalid(message, option="score")
    if options.score == "logit" or (options.score is None and has_logits):
        return "logits"
    if output.logits.activation or _are_probabilities(output, values):
        return "probability" if options.score == "probability" else "log"
    if options.score is None:
        return "output"
    message = (
        f"Output {output.name} gives no probabilities: leave score out, and the output itself is explained."
    )
    raise OptionInvalid(message, option="score")


def _are_probabilities(output: Output, values: Array) -> bool:
    """Whether values come from a softmax that the graph does not show as one: not negative, with a sum of one."""
    if not values.ndim or values.shape[output.channel_axis] < 2 or not (values >= 0).all():
        return False
    sums = values.astype(np.float64).sum(axis=output.channel_axis)
    return bool((np.abs(sums - 1) < _SUM_TO_ONE).all())


def _positive(probabilities: Array) -> Array:
    return np.maximum(probabilities, np.finfo(np.float32).tiny)


def _sums(values: Array) -> Array:
    """The sum of each row."""
    sums: Array = values.reshape(len(values), -1).sum(axis=1)
    return sums
