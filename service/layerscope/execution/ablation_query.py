"""Ablations as data: what a sweep takes away, one unit at a time, and what that did to the output."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from layerscope.attribution.method import ScoreOptions
from layerscope.attribution.targets import Target
from layerscope.graph.taps.tap import Tap
from layerscope.interventions import By
from layerscope.tensors.options import Region

Array = np.ndarray[Any, np.dtype[Any]]

Metric = Literal["score", "output", "distance"]
"""How an effect is measured: by the target's score, by its output (a probability for most classifiers), or by the relative L2
of all values of the output."""

METRICS: tuple[Metric, ...] = ("score", "output", "distance")


@dataclass(frozen=True, kw_only=True)
class AblationOptions:
    """What a sweep takes away, one unit at a time.

    Attributes:
        layers: selectors: of exactly one layer for channels and places; for whole layers, of all that are taken away.
        by: what a unit is.
        set: what is put in place of the values: a number, or the `mean` of each channel over the places of the image.
        patch: the id of an image of `Query.patches`: its values are put in their place, and `set` does not count.
        grid: of places, the most boxes along each side of the map.
        screen: run only so many units, those with the largest effect by a first-order estimate; None for all.
        target: what the effect is measured on.
    """

    layers: Sequence[str]
    by: By = "channel"
    set: float | Literal["mean"] = 0.0
    patch: str | None = None
    grid: int = 8
    screen: int | None = None
    target: ScoreOptions = field(default_factory=ScoreOptions)


@dataclass(frozen=True)
class AblationPlan:
    """What a sweep would do.

    Attributes:
        layers: the layers that it changes.
        shape: how its units are arranged: (channels,), (rows, columns) or (layers,).
        regions: of places, the box of each unit, see `Units.regions`.
    """

    layers: tuple[Tap, ...]
    shape: tuple[int, ...]
    regions: tuple[Region, ...]


@dataclass(frozen=True, kw_only=True)
class Ablation:
    """The sweep of one image. Arrays have one number for each unit.

    Attributes:
        target: what the effect was measured on.
        score: the score of the target without a change.
        class_: the most likely class without a change; None where the output has no classes.
        effects: by metric. By `score` and `output`: how much smaller it is without the unit, so that what speaks for the target is
            positive. By `distance`: the relative L2 of the output's values. NaN for units that were not run.
        classes: the most likely class without the unit; -1 where it was not run, or the output has no classes.
        unchanged: the units that have the values already that were put in their place, so that nothing had to be run.
        is_complete: whether all units are known; otherwise those that a screening chose.
        recoveries: how much of the way to the score of the image whose values are put in place each unit goes, see
            `layerscope.execution.effect.recovery`; None where values are not those of an image.
    """

    target: Target
    score: float
    class_: int | None
    effects: dict[Metric, Array]
    classes: Array
    unchanged: tuple[int, ...]
    is_complete: bool
    recoveries: Array | None


@dataclass(frozen=True, kw_only=True)
class Ablations:
    """The result of a sweep.

    Attributes:
        options: what was taken away.
        plan: its layers and units.
        images: one for each image.
        hit: whether all effects came from the cache.
    """

    options: AblationOptions
    plan: AblationPlan
    images: tuple[Ablation, ...]
    hit: bool

    def effects(self, metric: Metric) -> Array:
        """The effects of all images, (images, *shape), in float64."""
        return np.stack([each.effects[metric].reshape(self.plan.shape) for each in self.images])


@dataclass(frozen=True)
class PartialAblation:
    """What is known of an image before the sweep is over: the effect on the score, NaN where that is not known yet."""

    image: int
    effects: Array


Partial = Callable[[PartialAblation], None]
"""Is called after each batch of a sweep with what is known of the image by then."""
