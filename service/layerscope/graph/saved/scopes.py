"""Scopes: the layers of a saved graph, and their calls, found in the names of its nodes.

A node made inside a layer is named under the layer's name: `net/block/conv/Conv2D`. Three things hide the layer.

- TensorFlow opens scopes of its own: that of an operation of the same name (`conv/Conv2D/ReadVariableOp`), and some
  others that are known (`bn/batchnorm/mul`).
- Keras 3 opens the scope of a layer twice, once to build the layer and once to call it. No node takes the first
  name, so `conv` becomes `conv_1`, and at its second call `conv_3`.
- Keras 2 opens the same scope for every call. Two calls are distinguished by nodes of other layers between them, or by
  the variables of the layer being read a second time in the same way.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby

_OF_TENSORFLOW = frozenset(
    {
        *(
            "Gelu",
            "TensorArrayUnstack",
            "TensorArrayV2Read",
            "TensorArrayV2Stack",
            "TensorArrayV2Write",
            "Tensordot",
        ),
        *("batchnorm", "clip_by_value", "einsum", "embedding_lookup", "l2_normalize", "moments", "normalize"),
        *("normalize_moments", "resize", "separable_conv2d"),
    }
)
_NUMBERED = re.compile(r"(.+)_(\d+)")
PASSIVE = frozenset({"Const", "ReadVariableOp", "Identity", "Placeholder", "VarHandleOp"})


@dataclass(frozen=True)
class SavedNode:
    """What the search for layers needs to know of a node.

    Attributes:
        name: its name in the flat graph.
        op: its operation.
        variables: the names of the variables it reads.
        is_fed: whether it depends on the model's inputs.
    """

    name: str
    op: str
    variables: frozenset[str]
    is_fed: bool


@dataclass
class ScopeCall:
    """One call of one layer.

    Attributes:
        path: the names of the layer and of those around it, outermost first.
        number: of the call, among those of the path.
        nodes: all nodes inside, those of the children among them.
        children: the calls of the layers inside.
    """

    path: tuple[str, ...]
    number: int
    nodes: list[SavedNode]
    children: list["ScopeCall"] = field(default_factory=list)

    @cached_property
    def names(self) -> frozenset[str]:
        """The names of its nodes."""
        return frozenset(node.name for node in self.nodes)

    @property
    def variables(self) -> frozenset[str]:
        """The names of the variables that are read in it."""
        return frozenset[str]().union(*(node.variables for node in self.nodes))


class ScopeNames:
    """The layers that the nodes of one graph are in, by the names of the nodes alone.

    Args:
        nodes: those that compute something.
        names: the names of all nodes, also of replaced calls and of those in the functions of loops.
        transparent: the names of the nodes that call a function or loop over one. Other nodes are named under them, but
            they are no scopes.
        with_slashes: the names of layers that have a slash in them, whose scopes look like several.
    """

    def __init__(
        self,
        nodes: Sequence[SavedNode],
        names: Iterable[str],
        transparent: Iterable[str],
        with_slashes: Iterable[str] = (),
    ) -> None:
        self._names = frozenset(names)
        self._with_slashes = sorted((name.split("/") for name in with_slashes), key=len, reverse=True)
        self._transparent = frozenset(transparent)
        self._prefixes = frozenset(prefix for name in self._names for prefix, _ in self._steps(name))
        self.opened_twice = False
        self.opened_twice = self._are_opened_twice(nodes)
        self._model = self._common_scope(nodes)

    def layers(self, name: str) -> tuple[str, ...]:
        """The scopes of the layers that a node is in, outermost first, without the model's own."""
        scopes = self._scopes(name)
        return scopes[1:] if scopes[:1] == self._model else scopes

    def layer(self, scope: str) -> str:
        """The name of the layer whose scope it is."""
        return _plain(scope) if self.opened_twice else scope

    def _scopes(self, name: str) -> tuple[str, ...]:
        result: list[str] = []
        for prefix, part in self._steps(name):
            if prefix in self._transparent:
                continue
            if prefix in self._names or not self._may_be_layer(prefix, part, len(result)):
                break
            result.append(part)
        return tuple(result)

    def _steps(self, name: str) -> Iterator[tuple[str, str]]:
        """The scopes that a name is in, outermost first: the whole of each, and its last part."""
        parts = name.split("/")[:-1]
        depth = 0
        while depth < len(parts):
            known = (len(each) for each in self._with_slashes if parts[depth : depth + len(each)] == each)
            start, depth = depth, depth + next(known, 1)
            yield "/".join(parts[:depth]), "/".join(parts[start:depth])

    def _may_be_layer(self, prefix: str, part: str, depth: int) -> bool:
        if self.opened_twice:
            return self._was_opened_twice(prefix)
        # A scope directly in the model's scope is a layer, whatever its name.
        return depth < 2 or _plain(part) not in _OF_TENSORFLOW

    def _was_opened_twice(self, prefix: str) -> bool:
        """Whether no node has the name that the first opening of the scope took."""
        match = _NUMBERED.fullmatch(prefix)
        if match is None:
            return False
        first = match[1] if match[2] == "1" else f"{match[1]}_{int(match[2]) - 1}"
        return first not in self._names and first not in self._prefixes

    def _are_opened_twice(self, nodes: Iterable[SavedNode]) -> bool:
        """Whether Keras 3 made the graph: most scopes then have one number more than the layer of their variables."""
        votes: Counter[bool] = Counter()
        for node in nodes:
            owners = {variable.split("/")[-2] for variable in node.variables if "/" in variable}
            scopes = set(self._scopes(node.name))
            votes[False] += bool(owners & scopes)
            votes[True] += bool(owners & {_plain(scope) for scope in scopes} - scopes)
        return votes[True] > votes[False]

    def _common_scope(self, nodes: Iterable[SavedNode]) -> tuple[str, ...]:
        """The one scope that all others are in, if there is one: the model's."""
        found = [scopes for scopes in (self._scopes(node.name) for node in nodes) if scopes]
        is_one = len({scopes[0] for scopes in found}) == 1 and any(len(scopes) > 1 for scopes in found)
        return found[0][:1] if is_one else ()


def scope_calls(nodes: Sequence[SavedNode], names: ScopeNames, taken: Iterable[str] = ()) -> list[ScopeCall]:
    """The calls of the outermost layers, each with those inside, in the order in which they begin.

    Args:
        nodes: in the order in which they were made.
        names: of the same graph.
        taken: names that no outermost layer can have.
    """
    return _Tree(names).calls([(node, names.layers(node.name)) for node in nodes], (), taken)


_Placed = tuple[SavedNode, tuple[str, ...]]


@dataclass
class _Candidate:
    """A possible call: nodes in the scope of one layer."""

    layer: str
    placed: list[_Placed]

    @property
    def variables(self) -> frozenset[str]:
        return frozenset[str]().union(*(node.variables for node, _ in self.placed))

    @property
    def ops(self) -> list[str]:
        return [node.op for node, _ in self.placed]

    @property
    def computes(self) -> bool:
        """Whether it is a layer: constants and plain reads of variables are none."""
        reads = bool(self.variables)
        return any(node.is_fed or (reads and node.op not in PASSIVE) for node, _ in self.placed)


class _Tree:
    """Groups nodes into calls, and numbers the calls of each path."""

    def __init__(self, names: ScopeNames) -> None:
        self._names = names
        self._counts: Counter[tuple[str, ...]] = Counter()

    def calls(
        self, placed: Sequence[_Placed], parent: tuple[str, ...], taken: Iterable[str] = ()
    ) -> list[ScopeCall]:
        """The calls of the layers that `placed`, the nodes of one call of `parent`, are in."""
        known: dict[tuple[str, frozenset[str]], str] = {}
        used = set(taken)
        result = []
        for candidate in self._candidates(placed):
            key = candidate.layer, candidate.variables
            known[key] = known.get(key) or _unused(candidate.layer, used)
            used.add(known[key])
            result.append(self._call((*parent, known[key]), candidate.placed))
        return result

    def _call(self, path: tuple[str, ...], placed: list[_Placed]) -> ScopeCall:
        number = self._counts[path]
        self._counts[path] += 1
        inside = [(node, scopes[1:]) for node, scopes in placed]
        return ScopeCall(path, number, [node for node, _ in placed], self.calls(inside, path))

    def _candidates(self, placed: Sequence[_Placed]) -> list[_Candidate]:
        runs: dict[str, list[_Candidate]] = {}
        for scope, members in groupby(placed, lambda each: each[1][0] if each[1] else None):
            if scope is not None:
                runs.setdefault(scope, []).append(_Candidate(self._names.layer(scope), list(members)))
        wholes = {scope: _joined(candidates) for scope, candidates in runs.items()}
        wholes = {scope: whole for scope, whole in wholes.items() if whole.computes}
        if self._names.opened_twice:
            return list(wholes.values())
        candidates = [
            candidate for scope, whole in wholes.items() for candidate in _split(runs[scope], whole)
        ]
        for candidate in candidates:
            candidate.layer = _original(candidate, wholes)
        places = {node.name: number for number, (node, _) in enumerate(placed)}
        return sorted(candidates, key=lambda candidate: places[candidate.placed[0][0].name])


def _joined(candidates: Sequence[_Candidate]) -> _Candidate:
    return _Candidate(candidates[0].layer, [each for candidate in candidates for each in candidate.placed])


def _split(runs: Sequence[_Candidate], whole: _Candidate) -> list[_Candidate]:
    """The calls of a layer whose calls share one scope: one for each run of nodes, if all runs have the same operations."""
    alike = all(run.ops == runs[0].ops for run in runs)
    return [candidate for run in (runs if alike else [whole]) for candidate in _repeats(run)]


def _repeats(run: _Candidate) -> list[_Candidate]:
    """The calls in one run of nodes: a layer that is called on its own result reads its variables again in each."""
    length = len(run.placed)
    inside = {scopes[1:2] for _, scopes in run.placed}
    if not run.variables or (len(inside) == 1 and () not in inside):
        # Nothing repeats, or the one layer inside is what is called again.
        return [run]
    steps = [(node.op, node.variables) for node, _ in run.placed]
    periods = (each for each in range(1, length // 2 + 1) if length % each == 0)
    for period in periods:
        if steps[period:] == steps[:-period]:
            return [_Candidate(run.layer, run.placed[at : at + period]) for at in range(0, length, period)]
    return [run]


def _original(candidate: _Candidate, wholes: dict[str, _Candidate]) -> str:
    """The layer that is really called: before TensorFlow 2.4, the second call of `conv` is named `conv_1`."""
    original = wholes.get(_plain(candidate.layer))
    same = original is not None and candidate.variables and candidate.variables == original.variables
    return original.layer if original and same else candidate.layer


def _unused(wanted: str, used: set[str]) -> str:
    candidates = (wanted, *(f"{wanted}_{number}" for number in range(1, len(used) + 2)))
    return next(name for name in candidates if name not in used)


def _plain(name: str) -> str:
    match = _NUMBERED.fullmatch(name)
    return match[1] if match else name
