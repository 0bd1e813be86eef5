"""Steps of a loop: how often its body runs at most, where that follows from the shapes alone."""

from collections.abc import Mapping
from math import ceil
from typing import Any

from layerscope.graph.analysis.inner_graphs import InnerGraphs, source_of
from layerscope.graph.analysis.known_values import Known, known_value


def most_steps(loop: Any, functions: InnerGraphs, arguments: Known) -> int | None:
    """The most steps of a loop that counts up to a number which depends on shapes alone, as one over time does; None for any other.

    Args:
        loop: the operation.
        functions: of its graph.
        arguments: what is known of the arguments of the function that the loop is in.
    """
    (body,) = functions.called_by(loop)
    condition = functions.condition_of(loop)
    found = [
        steps
        for comparison in _required(condition.outputs[0])
        if (steps := _steps(comparison, condition, body, loop, arguments)) is not None
    ]
    return min(found, default=None)


def invariants(loop: Any, body: Any, arguments: Known) -> dict[str, Any]:
    """The values of the arguments of a loop's body that are known and stay the same in each step, by the name of their placeholder."""
    return {
        given.op.name: value
        for given, result, start in zip(body.inputs, body.outputs, loop.inputs, strict=True)
        if source_of(result) is given and (value := known_value(start, arguments)) is not None
    }


def _steps(comparison: Any, condition: Any, body: Any, loop: Any, arguments: Known) -> int | None:
    """For how many steps a comparison of a counter with a bound is true."""
    if comparison.type not in {"Less", "LessEqual"} or not comparison.inputs[0].dtype.is_integer:
        return None
    counter, bound = map(source_of, comparison.inputs)
    places = {given.op.name: place for place, given in enumerate(condition.inputs)}
    place = places.get(counter.op.name)
    if place is None:
        return None
    first = known_value(loop.inputs[place], arguments)
    step = _increment(body, place)
    last = _bound(bound, places, loop, body, arguments)
    if first is None or step is None or last is None:
        return None
    distance = int(last) - int(first) + int(comparison.type == "LessEqual")
    return max(0, ceil(distance / int(step)))


def _bound(bound: Any, places: Mapping[str, int], loop: Any, body: Any, arguments: Known) -> Any | None:
    place = places.get(bound.op.name)
    if place is None:
        return known_value(bound, {})
    return invariants(loop, body, arguments).get(body.inputs[place].op.name)


def _increment(body: Any, place: int) -> Any | None:
    """The number that each step adds to a counter; None if it does something else with it."""
    result = source_of(body.outputs[place]).op
    if result.type not in {"Add", "AddV2"}:
        return None
    first, second = map(source_of, result.inputs)
    other = second if first is body.inputs[place] else first if second is body.inputs[place] else None
    step = None if other is None else known_value(other, {})
    return step if step is not None and step > 0 else None


def _required(condition: Any) -> list[Any]:
    """The comparisons that must all be true for a condition to be."""
    operation = source_of(condition).op
    if operation.type == "LogicalAnd":
        return [each for read in operation.inputs for each in _required(read)]
    return [operation]
