"""Obstacles: what is in the way of attributions at a tap, known when a model is loaded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from layerscope.graph.runtime.inspection import GraphInspection
from layerscope.graph.taps.tap import Input, Tap

_NO_SCORE = "The model has no output that gives a number in fractions for each image."
_NO_OUTPUT = "No output is computed from it."
_SEVERAL = "It has several maps an image, of which none can be told apart."


@dataclass(frozen=True)
class Obstacles:
    """What is in the way of attributions: a sentence by the address of a tap. Taps with nothing in the way are left out.

    Attributes:
        maps: why there is not one map for each image.
        scores: why no output is explained by the tap.
        gradients: why no output can be differentiated by the tap.
    """

    maps: Mapping[str, str] = field(default_factory=dict)
    scores: Mapping[str, str] = field(default_factory=dict)
    gradients: Mapping[str, str] = field(default_factory=dict)


def is_explainable(output: Tap) -> bool:
    """Whether an output gives a number in fractions for each image."""
    return output.dtype.kind == "f" and output.tensor.batched and not output.tensor.mixed


def find_obstacles(
    inspection: GraphInspection, inputs: Sequence[Input], outputs: Sequence[Tap], taps: Sequence[Tap]
) -> Obstacles:
    """Find what is in the way of attributions.

    Args:
        inspection: of the model.
        inputs: of the model.
        outputs: of the model.
        taps: the taps in question.
    """
    scored = [inspection.logits(output).tap or output for output in outputs if is_explainable(output)]
    scores = dict.fromkeys((tap.address for tap in taps), _NO_OUTPUT if scored else _NO_SCORE)
    gradients = dict(scores)
    for score in scored:
        for tap in taps:
            if inspection.depends(score, tap):
                scores.pop(tap.address, None)
                obstacle = inspection.gradient_obstacle(score, tap)
                if obstacle is None:
                    gradients.pop(tap.address, None)
                elif tap.address in gradients:
                    gradients[tap.address] = f"{score.address} cannot be differentiated by it: {obstacle}."
    return Obstacles(_several_maps(inspection, inputs, taps), scores, gradients)


def _several_maps(
    inspection: GraphInspection, inputs: Sequence[Input], taps: Sequence[Tap]
) -> dict[str, str]:
    """The taps where a layer folds other axes into the batch axis, as far as the sizes of images are known."""
    sizes = [each.shape for each in inputs]
    if any(None in size for size in sizes):
        return {}
    shapes = inspection.inferred_shapes(taps, sizes)
    return {
        tap.address: _SEVERAL for tap, shape in zip(taps, shapes, strict=True) if len(shape) > len(tap.shape)
    }
