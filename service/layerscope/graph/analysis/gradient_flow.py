"""Gradient flow: which values of a graph the gradient of a target reaches, and what stops it elsewhere.

It is worked out from the graph and from the gradients that TensorFlow has for its operations. Nothing is differentiated, so
that it takes milliseconds for all values of a network.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import tensorflow as tf
from tensorflow.python.eager.backprop_util import IsTrainable
from tensorflow.python.framework import op_def_registry, ops

from layerscope.graph.analysis.custom_gradients import REGISTERED, gradient_definition, result_name

_STEPS = frozenset({"Ceil", "Floor", "FloorDiv", "Rint", "Round", "TruncateDiv"})
"""Operations whose gradient is registered and is none, for their results change in steps."""

_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
"""Operations that can be differentiated though they have no registered gradient."""

_WITHOUT_GRADIENT_IN_FUNCTIONS = frozenset({"Conv3D"})
"""Operations that layers compile, such as grouped convolutions of three axes."""

_NOT_REACHED = "no gradient flows back to it, for what lies between changes in steps or passes none on"


class GradientFlow:
    """The values that the gradient of one target reaches.

    Args:
        nodes: of the graph by name.
        functions: the nodes of the functions that loops and branches run, by the function's name.
        target: the name of the tensor that is differentiated.
    """

    def __init__(self, nodes: Mapping[str, Any], functions: Mapping[str, Iterable[Any]], target: str) -> None:
        self._nodes = nodes
        self._functions = functions
        self._reached, ends = self._backwards([target], lambda node: self._without_gradient(node) is None)
        # TensorFlow gives up where one operation between two values has no gradient, whatever other ways there are.
        self._obstacles = [
            (reason, self._backwards(node.input)[0])
            for node in ends
            if (reason := self._without_gradient(node)) is not None
        ]

    def obstacle(self, source: str) -> str | None:
        """Why the target cannot be differentiated by a tensor, as half a sentence; None if it can."""
        tensor = _canonical(source)
        for reason, behind in self._obstacles:
            if tensor in behind:
                return reason
        return None if tensor in self._reached else _NOT_REACHED

    def _backwards(
        self, tensors: Iterable[str], passes: Callable[[Any], bool] | None = None
    ) -> tuple[set[str], list[Any]]:
        """All tensors behind some, along those that can have gradients.

        Args:
            tensors: where to begin.
            passes: whether a gradient is passed on by a node; left out, every node passes on to all of its inputs.

        Returns:
            The tensors, and the nodes that pass nothing on.
        """
        reached: set[str] = set()
        ends: dict[str, Any] = {}
        types: dict[str, list[Any]] = {}
        waiting = list(map(_canonical, tensors))
        while waiting:
            tensor = waiting.pop()
            name, _, index = tensor.partition(":")
            node = self._nodes[name]
            if name not in types:
                types[name] = _result_types(node)
            if tensor in reached or not IsTrainable(types[name][int(index)]):
                continue
            reached.add(tensor)
            if passes is None:
                waiting.extend(map(_canonical, _inputs(node)))
            elif passes(node):
                waiting.extend(map(_canonical, _differentiated(node)))
            else:
                ends[name] = node
        return reached, list(ends.values())

    def _without_gradient(self, node: Any) -> str | None:
        if REGISTERED in node.attr and gradient_definition(node) is None:
            return f"the gradient that {node.name} defines itself is known only where the model was made"
        for each in self._inside(node) if node.op in _CALLS else ():
            # TensorFlow differentiates functions by a table of its own, and there without a word the operation instead.
            if REGISTERED in each.attr:
                return f"the gradient that {each.name} defines itself is hidden in a compiled function ({node.name})"
            if each.op in _WITHOUT_GRADIENT_IN_FUNCTIONS:
                return f"TensorFlow has no gradient for {each.op} in a compiled function ({node.name}), which lies between"
        for each in (node, *self._inside(node)):
            if REGISTERED not in each.attr and each.op not in _CALLS and not _is_known(each.op):
                return f"TensorFlow has no gradient for {each.name} (operation {each.op}), which lies between"
        return None

    def _inside(self, node: Any) -> Iterator[Any]:
        """The nodes of the functions that a node runs, through which a gradient might flow."""
        for value in node.attr.values():
            for function in (value.func, *value.list.func):
                for each in self._functions.get(function.name, ()):
                    if any(map(IsTrainable, _result_types(each))) and any(
                        map(IsTrainable, _input_types(each))
                    ):
                        yield each
                        yield from self._inside(each)


def _is_known(name: str) -> bool:
    """Whether a gradient is registered with a name, be it that there is none."""
    try:
        ops.gradient_registry.lookup(name)
    except LookupError:
        return False
    return True


def _differentiated(node: Any) -> list[str]:
    """The inputs that the gradient of a node's results is passed on to, as far as their types allow."""
    inputs = _inputs(node)
    definition = gradient_definition(node)
    if definition is not None:
        there = {each.name for each in definition.node}
        return [each for number, each in enumerate(inputs) if result_name(number) in there]
    if REGISTERED in node.attr or node.op in _CALLS:
        return inputs
    return [] if node.op in _STEPS or ops.gradient_registry.lookup(node.op) is None else inputs


def _inputs(node: Any) -> list[str]:
    return [each for each in node.input if not each.startswith("^")]


def _result_types(node: Any) -> list[Any]:
    definition = op_def_registry.get(node.op)
    return _types(definition, definition.output_arg, node) if definition is not None else []


def _input_types(node: Any) -> list[Any]:
    definition = op_def_registry.get(node.op)
    return _types(definition, definition.input_arg, node) if definition is not None else []


def _types(definition: Any, arguments: Iterable[Any], node: Any) -> list[Any]:
    """The dtype of each tensor that some arguments of an operation stand for."""
    # SavedModels leave out attributes with their default value.
    defaults = {each.name: each.default_value for each in definition.attr if each.name not in node.attr}
    attributes = defaults | dict(node.attr.items())
    types: list[Any] = []
    for each in arguments:
        if each.type_list_attr:
            types += attributes[each.type_list_attr].list.type
        else:
            own = attributes[each.type_attr].type if each.type_attr else each.type
            types += [own] * (attributes[each.number_attr].i if each.number_attr else 1)
    return list(map(tf.as_dtype, types))


def _canonical(tensor: str) -> str:
    return tensor if ":" in tensor else f"{tensor}:0"
