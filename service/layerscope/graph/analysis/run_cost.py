"""Cost of a run: what computing some tensors takes, estimated from every node of the graph.

The time of a run is that of its arithmetic and that of starting each operation. In loops over time the second is most of it: an
LSTM of 50 units starts some thirty operations for each step, each of which takes less than starting it.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import isnan, nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layerscope.graph.analysis.inner_graphs import (
    BRANCHES,
    DEEPEST,
    LOOPS,
    InnerGraphs,
    arguments_of,
    keeps_shapes,
)
from layerscope.graph.analysis.known_values import Known, known_value
from layerscope.graph.analysis.loop_steps import invariants, most_steps
from layerscope.graph.analysis.operation_costs import cost_of

_SECONDS_PER_RUN = 1e-4
_SECONDS_PER_MULTIPLICATION = 1.2e-11
_SECONDS_PER_START = 4e-7
"""As measured on two cores of a server, and a little more: see `tests/service/graph/analysis/test_graph_run_cost.py`."""

_STARTS_PER_LOOP_VARIABLE = 3
"""A loop hands each of its variables from step to step through so many operations of its own."""

_NOT_STARTED = frozenset({"Const", "NoOp", "Placeholder", "VarHandleOp"})

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class RunCost:
    """What a run takes.

    Attributes:
        multiplications: those that take as long as all arithmetic, see `operation_costs`.
        starts: how many operations are started, each as often as it runs.
    """

    multiplications: float
    starts: float

    @property
    def seconds(self) -> float:
        """The time of the run, about."""
        arithmetic = self.multiplications * _SECONDS_PER_MULTIPLICATION
        return _SECONDS_PER_RUN + arithmetic + self.starts * _SECONDS_PER_START


@dataclass(frozen=True)
class NodeCosts:
    """What the nodes of a graph cost on inputs of one size, each by the number of the node; NaN where that is not known.

    Attributes:
        multiplications: see `RunCost`.
        starts: see `RunCost`.
    """

    multiplications: Numbers
    starts: Numbers

    def of(self, numbers: Collection[int]) -> RunCost | None:
        """The cost of some nodes; None if that of one of them is not known."""
        chosen = list(numbers)
        cost = RunCost(float(self.multiplications[chosen].sum()), float(self.starts[chosen].sum()))
        return None if isnan(cost.multiplications + cost.starts) else cost


def costs_of(operations: Sequence[Any], functions: InnerGraphs) -> NodeCosts:
    """What operations cost, whose shapes are those of one image.

    Args:
        operations: of a graph in which shapes were inferred, in the order of the result.
        functions: of that graph.
    """
    return _costs_of(operations, functions, {}, nan, 0)


def _costs_of(
    operations: Sequence[Any], functions: InnerGraphs, known: Known, unknown: float, depth: int
) -> NodeCosts:
    found = [_cost_of(operation, functions, known, unknown, depth) for operation in operations]
    return NodeCosts(np.array([each for each, _ in found]), np.array([each for _, each in found]))


def _cost_of(
    operation: Any, functions: InnerGraphs, known: Known, unknown: float, depth: int
) -> tuple[float, float]:
    inner = functions.called_by(operation)
    if not inner:
        return cost_of(operation, unknown), float(operation.type not in _NOT_STARTED)
    if depth >= DEEPEST:
        return nan, nan
    if operation.type in LOOPS:
        return _loop(operation, functions, known, depth)
    arguments = [known_value(each, known) for each in arguments_of(operation)]
    costs = [
        _whole(
            each,
            functions,
            {
                given.op.name: value
                for given, value in zip(each.inputs, arguments, strict=True)
                if value is not None
            },
            depth,
        )
        for each in inner
    ]
    if operation.type in BRANCHES or len(costs) == 1:
        return tuple(np.max(costs, axis=0).tolist())
    return nan, nan


def _loop(loop: Any, functions: InnerGraphs, known: Known, depth: int) -> tuple[float, float]:
    steps = most_steps(loop, functions, known)
    (body,) = functions.called_by(loop)
    if steps is None or not keeps_shapes(body):
        return nan, nan
    same = invariants(loop, body, known)
    multiplications, starts = _whole(body, functions, same, depth)
    starts += len(functions.condition_of(loop).get_operations())
    return steps * multiplications, steps * (starts + _STARTS_PER_LOOP_VARIABLE * len(loop.inputs))


def _whole(inner: Any, functions: InnerGraphs, known: Known, depth: int) -> tuple[float, float]:
    # Inside of a function, a size that is not known is that of the batch.
    costs = _costs_of(inner.get_operations(), functions, known, 1.0, depth + 1)
    return float(costs.multiplications.sum()), float(costs.starts.sum())
