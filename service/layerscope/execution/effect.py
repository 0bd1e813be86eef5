"""Effects: what edits do to the outputs of a model, with a target of one of them to measure it on."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from layerscope.attribution.method import Array, ScoreOptions
from layerscope.attribution.targets import Output, Target, targets_of
from layerscope.execution.attribution_spec import resolve_output
from layerscope.execution.paired_run import Pair
from layerscope.graph.model import LoadedModel
from layerscope.graph.taps.tap import Tap
from layerscope.tensors.activations import Activations

_SAME_SCORE = 1e-6


@dataclass(frozen=True)
class EffectSpec:
    """What an effect is measured on.

    Attributes:
        output: the output.
        options: what the caller chose.
        layers: those that are compared.
        taps: these, all outputs of the model, and where the score is read.
    """

    output: Output
    options: ScoreOptions
    layers: tuple[Tap, ...]
    taps: tuple[Tap, ...]

    @property
    def measured(self) -> tuple[Tap, ...]:
        """Where the score is read."""
        return (self.output.score_tap,)


@dataclass(frozen=True)
class Effect:
    """What edits did to images.

    Attributes:
        targets: what is measured, one an image: chosen by the values without edits.
        scores: the score of each target, without edits and under them.
        outputs: its output, likewise: a probability for most classifiers.
        recoveries: how much of the way to the score of the image whose values are put in place the edits go, see `recovery`; NaN
            where there is not one such image.
        layers: those that are compared.
        pair: the values of the layers and of all outputs.
    """

    targets: tuple[Target, ...]
    scores: tuple[tuple[float, float], ...]
    outputs: tuple[tuple[float, float], ...]
    recoveries: tuple[float, ...]
    layers: tuple[Tap, ...]
    pair: Pair


def resolve_effect(model: LoadedModel, options: ScoreOptions, layers: Sequence[Tap]) -> EffectSpec:
    """Determine which tensors an effect needs.

    Raises:
        LayerscopeError: there is no such output, or it gives no number in fractions for each image.
    """
    output = resolve_output(model, options.output)
    outputs = [tap for _, tap in model.description.outputs]
    taps = dict.fromkeys([*layers, *outputs, output.score_tap])
    return EffectSpec(output, options, tuple(layers), tuple(taps))


def recovery(lost: Array | float, clean: float, source: float) -> Array | float:
    """How much of the way from the score of one image to that of another the values of the other bring it: 1 for all of it.

    Zhang and Nanda 2024, arXiv:2309.16042.

    Args:
        lost: the score without the other's values less that with them.
        clean: the score of the image.
        source: that of the other for the same target.

    Returns:
        NaN where both scores are the same, to a millionth.
    """
    gap = source - clean
    if not gap or abs(gap) < _SAME_SCORE * abs(source):
        return np.full_like(lost, np.nan)
    return (0.0 - lost) / gap


def effect_of(spec: EffectSpec, pair: Pair, source: Activations | None) -> Effect:
    """The effect on each image.

    Args:
        spec: what it is measured on.
        pair: the values of `spec.taps`.
        source: the values of `spec.measured` of the one image whose values edits put in place; None where there is not one.

    Raises:
        OptionInvalid: there is no such target.
    """
    clean, edited = pair.clean, pair.edited
    output, scored = spec.output.tap.address, spec.output.score_tap.address
    targets = targets_of(spec.output, spec.options, clean[output].values)

    def both(measures: Sequence[Callable[[Array], Array]], address: str) -> tuple[tuple[float, float], ...]:
        values = [each[address].values for each in (clean, edited)]
        rows = [
            [float(measure(each[row : row + 1])[0]) for each in values]
            for row, measure in enumerate(measures)
        ]
        return tuple((before, after) for before, after in rows)

    scores = both([target.scores for target in targets], scored)
    outputs = both([target.outputs for target in targets], output)
    recoveries = [
        math.nan
        if source is None
        else float(recovery(before - after, before, float(target.scores(source[scored].values)[0])))
        for target, (before, after) in zip(targets, scores, strict=True)
    ]
    return Effect(tuple(targets), scores, outputs, tuple(recoveries), spec.layers, pair)
