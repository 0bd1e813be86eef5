"""Agreement of the predictions of two models, image by image."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from layerscope.execution.comparison_query import Agreement, Flip
from layerscope.graph.model import ModelDescription

Array = np.ndarray[Any, np.dtype[Any]]

_TOP = 5


class OutputPair:
    """An output of both models that has a value for each class, over the images so far.

    Args:
        models: both.
        names: the output's name in each.

    Attributes:
        name: the output's name in the reference.
        taps: the output of each.
    """

    def __init__(self, models: Sequence[ModelDescription], names: Sequence[str]) -> None:
        self.name = names[0]
        first, second = (dict(model.outputs)[name] for model, name in zip(models, names, strict=True))
        self.taps = (first, second)
        self._classes = [model.output_classes[name] for model, name in zip(models, names, strict=True)]
        self._found: list[tuple[int, int, bool]] = []

    def add(self, reference: Array, candidate: Array) -> None:
        """Add the values of one image, without batch axis."""
        first, second = (
            np.nan_to_num(classes.values(np.atleast_1d(values)), nan=-np.inf, posinf=np.inf, neginf=-np.inf)
            for classes, values in zip(self._classes, (reference, candidate), strict=True)
        )
        own, other = int(np.argmax(first)), int(np.argmax(second))
        five = np.argsort(-second, kind="stable")[:_TOP]
        self._found.append((own, other, own in five))

    def agreement(self, images: Sequence[str]) -> Agreement:
        """How often both predict the same."""
        flips = [
            Flip(image, own, other)
            for image, (own, other, _) in zip(images, self._found, strict=True)
            if own != other
        ]
        count = len(self._found)
        among = sum(is_among for *_, is_among in self._found)
        return Agreement(self.name, 1 - len(flips) / count, among / count, tuple(flips))


def output_pairs(reference: ModelDescription, candidate: ModelDescription) -> list[OutputPair]:
    """The outputs with classes that both models have: those of the same name, or of the same place if names differ."""
    names, others = [name for name, _ in reference.outputs], [name for name, _ in candidate.outputs]
    if set(names) != set(others) and len(names) == len(others):
        together = list(zip(names, others, strict=True))
    else:
        together = [(name, name) for name in names if name in others]
    models = (reference, candidate)
    return [OutputPair(models, pair) for pair in together if _have_same_classes(models, pair)]


def _have_same_classes(models: Sequence[ModelDescription], names: Sequence[str]) -> bool:
    counts = [_classes(model, name) for model, name in zip(models, names, strict=True)]
    return counts[0] == counts[1] and counts[0] > 1


def _classes(model: ModelDescription, name: str) -> int:
    """How many classes an output has; 0 if it has none, such as a map."""
    tap = dict(model.outputs)[name]
    if model.output_classes[name].is_pair:
        return 2
    return tap.shape[0] or 0 if len(tap.shape) == 1 and tap.tensor.batched else 0
