"""Effects: what edits do to the outputs of a model, with a target of one of them to measure it on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from layerscope.attribution.method import Array, ScoreOptions
from layerscope.attribution.targets import Output, Target, targets_of
from layerscope.execution.attribution_spec import resolve_output
from layerscope.execution.paired_run import Pair
from layerscope.graph.model import LoadedModel
from layerscope.graph.taps.tap import Tap


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


@dataclass(frozen=True)
class Effect:
    """What edits did to images.

    Attributes:
        targets: what is measured, one an image: chosen by the values without edits.
        scores: the score of each target, without edits and under them.
        outputs: its output, likewise: a probability for most classifiers.
        layers: those that are compared.
        pair: the values of the layers and of all outputs.
    """

    targets: tuple[Target, ...]
    scores: tuple[tuple[float, float], ...]
    outputs: tuple[tuple[float, float], ...]
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


def effect_of(spec: EffectSpec, pair: Pair) -> Effect:
    """The effect on each image.

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
    return Effect(
        tuple(targets), scores, both([target.outputs for target in targets], output), spec.layers, pair
    )
