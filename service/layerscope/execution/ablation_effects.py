"""What is kept of a sweep: a row of numbers for each unit, so that one array an image can stand in the cache.

The columns are the effect by each metric, the most likely class without the unit, and what became of the unit.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from layerscope.attribution.targets import Target
from layerscope.comparison import Distance
from layerscope.execution.ablation_query import METRICS
from layerscope.graph.taps.tap import Tap

Array = np.ndarray[Any, np.dtype[Any]]

CLASS, STATE = len(METRICS), len(METRICS) + 1
"""The columns behind those of the metrics."""

COLUMNS = STATE + 1

NOT_RUN, RAN, UNCHANGED = range(3)
"""The states of a unit: it was not run; it was; or it has the values already that were put in place, and need not be run."""

NO_CLASS = -1
"""The class where the output is a map, or a single number that is no probability."""


def nothing_known(units: int) -> Array:
    """The rows of units before anything was run."""
    rows = np.full((units, COLUMNS), np.nan)
    rows[:, STATE] = NOT_RUN
    return rows


def no_effect(target: Target, score: float, class_: int) -> Array:
    """The row of a unit that nothing changes: effects are 0, or NaN where the model gives no number without a change."""
    effects = [score - score, target.value - target.value, target.value - target.value]
    return np.array([*effects, class_, UNCHANGED])


def effects_of(target: Target, arrays: Mapping[Tap, Array]) -> Array:
    """The rows of the units of one batch.

    Args:
        target: what effects are measured on.
        arrays: the output and the values of the score, of the image without a change and then without each unit.
    """
    outputs, scored = arrays[target.output.tap], arrays[target.output.score_tap]
    scores, values = target.scores(scored), target.outputs(outputs)
    rows = np.empty((len(scores) - 1, COLUMNS))
    rows[:, 0], rows[:, 1] = scores[0] - scores[1:], values[0] - values[1:]
    rows[:, 2] = [_distance(outputs[0], each) for each in outputs[1:]]
    rows[:, CLASS] = classes_of(target, outputs)[1:]
    rows[:, STATE] = RAN
    return rows


def classes_of(target: Target, outputs: Array) -> Array:
    """The most likely class of each row of an output."""
    if outputs.ndim > 2 or target.index is None:
        return np.full(len(outputs), NO_CLASS)
    chances = target.output.classes.values(outputs.reshape(len(outputs), -1))
    classes: Array = np.argmax(np.where(np.isnan(chances), -np.inf, chances), axis=1)
    return classes


def _distance(clean: Array, changed: Array) -> float:
    """The relative L2 of the values of an output."""
    distance = Distance()
    distance.add(clean, changed)
    return distance.relative_l2
