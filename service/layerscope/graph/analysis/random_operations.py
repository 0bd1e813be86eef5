"""Random operations of a graph, found by their names."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

_RANDOM = ("Multinomial", "ParameterizedTruncatedNormal", "Random", "Rng", "Stateful", "TruncatedNormal")
"""How the names of random operations begin, without `Stateless`."""

_NOT_RANDOM = ("RandomDataset", "StatefulPartitionedCall", "StatefulRandomBinomialV0", "StatelessRandomGet")

Functions = Mapping[str, Iterable[Any]]
"""The nodes of the functions that loops and branches run, by the function's name."""


def drawing_anew(nodes: Iterable[Any], functions: Functions) -> Iterator[str]:
    """The names of nodes that draw other random numbers in each run, or that run a function which may."""
    for node in nodes:
        is_stateful = _is_random(node.op) and not node.op.startswith("Stateless")
        if is_stateful or any(_are_random(each, functions) for each in _functions_of(node, functions)):
            yield node.name


def _are_random(nodes: Iterable[Any], functions: Functions) -> bool:
    """Whether any of the nodes of a function, or of those that it runs, is random."""
    return any(
        _is_random(node.op) or any(_are_random(each, functions) for each in _functions_of(node, functions))
        for node in nodes
    )


def _functions_of(node: Any, functions: Functions) -> Iterator[Iterable[Any]]:
    for value in node.attr.values():
        for function in (value.func, *value.list.func):
            yield functions.get(function.name, ())


def _is_random(op: str) -> bool:
    return op.removeprefix("Stateless").startswith(_RANDOM) and not op.startswith(_NOT_RANDOM)
