"""Check of rewrites: at load, some taps of a rewritten plan are compared with those of a plain one.

A rewrite claims to change how values are computed and not what they are. This checks the claim on the model at hand.
The cost is two compilations without TensorFlow's optimizer and two runs of one input: 0.5 to 0.6 s of processor time for
MobileNetV2 and MobileNetV3Small, 1 s for Xception, and 0.03 s for ResNet50, of which nothing is rewritten.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from layerscope.graph.analysis.subgraph import needed_nodes, node_of
from layerscope.graph.rewrites import Rewrite
from layerscope.graph.runtime.compilation import PlanCompiler
from layerscope.graph.runtime.plans import Plan, PlanKey
from layerscope.graph.taps.tap import Tap

Array = np.ndarray[Any, np.dtype[Any]]

TOLERANCE = 1e-4
"""The largest difference that may be rounding, relative to the largest value of the tap."""

_SMALLEST_SCALE = 1e-3
"""What counts as the largest value of a tap at least: one that is zero everywhere may differ by rounding too."""

_COMPARED = frozenset({"float32", "float64"})
"""Rounding changes integers by whole numbers, and narrower floats by more than the tolerance."""

_FAILURES = (LookupError, ValueError, TypeError, tf.errors.OpError)


def check_rewrites(
    compiler: PlanCompiler,
    placeholders: Sequence[str],
    outputs: Sequence[Tap],
    rewrites: Sequence[Rewrite],
    examples: Iterable[Sequence[Array]],
) -> str | None:
    """Compare a rewritten plan of the whole model with a plain one.

    Args:
        compiler: of the model.
        placeholders: the names of the model's inputs.
        outputs: of the model.
        rewrites: to check.
        examples: inputs to try, one array an input each; the first that the model can run counts.

    Returns:
        What is wrong, as half a sentence; None if the values agree, or if nothing of the model is rewritten.
    """
    fetched = [*outputs, *_dead_ends(compiler, outputs)]
    try:
        changed = set(compiler.rewritten_nodes(_key(placeholders, fetched), rewrites))
        if not changed:
            return None
        taps = _compared(compiler, fetched, changed)
        key = _key(placeholders, taps)
        rewritten = compiler.compile(key, rewrites, optimize=False)
    except _FAILURES as error:
        return f"the rewritten graph cannot be compiled ({type(error).__name__})"
    plain = compiler.compile(key, (), optimize=False)
    for inputs in examples:
        try:
            expected = _by_name(plain, inputs)
        except _FAILURES:
            continue
        return _disagreement(plain, rewritten, taps, inputs, expected)
    return "the model runs on none of the inputs that were tried"


def _disagreement(
    plain: Plan,
    rewritten: Plan,
    taps: Sequence[Tap],
    inputs: Sequence[Array],
    expected: Mapping[str, Array],
) -> str | None:
    """What is wrong with the first tap whose values differ from those expected; None if all agree."""
    try:
        found = _by_name(rewritten, inputs)
    except _FAILURES as error:
        return f"the rewritten graph cannot run ({type(error).__name__})"
    differences = {
        tap: relative_difference(found[tap.tensor.name], expected[tap.tensor.name]) for tap in taps
    }
    if max(differences.values(), default=0.0) <= TOLERANCE:
        return None
    # A model that draws random numbers differs from itself. There a difference proves nothing.
    again = _by_name(plain, inputs)
    for tap, found_difference in differences.items():
        name = tap.tensor.name
        if found_difference > TOLERANCE >= relative_difference(again[name], expected[name]):
            return f"{tap.address} differs by {found_difference:.2g} of its largest value"
    return None


def _by_name(plan: Plan, inputs: Sequence[Array]) -> dict[str, Array]:
    return dict(zip(plan.key.fetched, plan(inputs), strict=True))


def _key(placeholders: Sequence[str], taps: Iterable[Tap]) -> PlanKey:
    return PlanKey(tuple(placeholders), tuple(sorted({tap.tensor.name for tap in taps})))


def _dead_ends(compiler: PlanCompiler, outputs: Iterable[Tap]) -> list[Tap]:
    """The taps that no output and no other tap is computed from: with the outputs, they need the whole graph."""
    nodes = compiler.parts.nodes
    needed = needed_nodes(nodes, [tap.tensor.name for tap in outputs])
    found = []
    for tap in reversed(tuple(compiler.taps.values())):
        if node_of(tap.tensor.name) not in needed:
            found.append(tap)
            needed |= needed_nodes(nodes, [tap.tensor.name])
    return found


def _compared(compiler: PlanCompiler, fetched: Sequence[Tap], changed: set[str]) -> list[Tap]:
    """The taps to compare, in graph order: an early, a middle and a late one, and the ends of the graph.

    The first three are taken from the taps that rewritten nodes compute. Fetching those does not change what is
    rewritten: a tap in the middle of what one operation replaces would have to be computed besides.
    """
    ends = {tap.tensor.name for tap in fetched}
    every = [tap for tap in compiler.taps.values() if tap.tensor.dtype in _COMPARED]
    made = [tap for tap in every if node_of(tap.tensor.name) in changed] or every
    chosen = {made[0], made[len(made) // 2], made[-1]} if made else set()
    return [tap for tap in every if tap in chosen or tap.tensor.name in ends]


def relative_difference(found: Array, expected: Array) -> float:
    """The largest difference relative to the largest value; infinite where shapes, NaNs or infinities differ."""
    if found.shape != expected.shape or not np.array_equal(np.isfinite(found), np.isfinite(expected)):
        return np.inf
    is_finite = np.isfinite(expected)
    if not np.array_equal(found[~is_finite], expected[~is_finite], equal_nan=True):
        return np.inf
    found, expected = found[is_finite].astype(np.float64), expected[is_finite].astype(np.float64)
    scale = max(np.abs(expected).max(initial=0.0), _SMALLEST_SCALE)
    return float(np.abs(found - expected).max(initial=0.0) / scale)
