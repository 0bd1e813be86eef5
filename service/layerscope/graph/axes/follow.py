"""Axes of all taps of a traced model, followed through its graph from the inputs.

Each operation has a rule for how axes pass. Nothing is concluded from the number of axes: behind an operation without a rule,
they are unknown. Some operations demand axes: a convolution slides over a map, an embedding reads tokens. Where such a one
reads axes that are unknown, as those of a vector that was reshaped to a map, they are taken to be these, also before it.
"""

import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from layerscope.graph.analysis.subgraph import node_of
from layerscope.graph.axes.demands import demanded_by, demands_before, merged
from layerscope.graph.axes.dimension import (
    BATCH,
    CHANNELS,
    UNKNOWN,
    Dimension,
    Dimensions,
    united,
)
from layerscope.graph.axes.graph import FollowedGraph, full_name
from layerscope.graph.axes.inputs import LayoutOf, input_dimensions
from layerscope.graph.axes.layers import axes_of_scores, declared_inputs, declared_outputs, with_heads
from layerscope.graph.axes.reads import maps_read
from layerscope.graph.axes.rules import RULES, Rule
from layerscope.graph.axes.step import Step, Unclear
from layerscope.graph.taps.tap import AxisName, Input, LayerCall, Tensor

logger = logging.getLogger(__name__)

_WITHOUT_AXES = frozenset(
    {"Const", "OnesLike", "Placeholder", "Range", "Rank", "Shape", "ShapeN", "Size", "ZerosLike"}
)
"""Operations whose values say nothing of the axes of what they read."""

_MOST_PASSES = 4


def with_axes(
    calls: Sequence[LayerCall],
    graph_def: Any,
    traced: Any,
    inputs: Mapping[str, Input],
    outputs: Iterable[str],
    layout_of: LayoutOf,
) -> tuple[LayerCall, ...]:
    """Layer calls whose tensors have axes.

    Args:
        calls: of a trace.
        graph_def: its graph.
        traced: the graph in TensorFlow, which knows the shapes of its tensors.
        inputs: of the model, by the tensor that each is fed by.
        outputs: the tensors that the model gives.
        layout_of: tells the layout that is declared for an input of images.
    """
    graph = FollowedGraph(graph_def, traced)
    followed = _Followed(graph, calls, _given(graph, calls, inputs, layout_of))
    found = followed.all()
    read = maps_read(followed.steps(), outputs)
    kinds = {call.path: call.type for call in calls}
    return tuple(
        replace(
            call,
            tensors={
                site: tuple(
                    _scores(tensor, found.get(tensor.name))
                    if site == "scores"
                    else _read_or_not(_described(tensor, found.get(tensor.name), call, kinds), read)
                    for tensor in tensors
                )
                for site, tensors in call.tensors.items()
            },
        )
        for call in calls
    )


def _given(
    graph: FollowedGraph, calls: Sequence[LayerCall], inputs: Mapping[str, Input], layout_of: LayoutOf
) -> Mapping[str, Dimensions]:
    """The axes of the inputs.

    A shape such as (4, 64, 2) fits an image whose channels come first, and is none if a convolution reads it as rows, columns
    and channels. One such as (4, 64, 1) is none if a layer reads it as steps of time.
    """
    given = {tensor: input_dimensions(each, layout_of(each.name)) for tensor, each in inputs.items()}
    has_steps = bool(declared_inputs(calls))
    unsure = {
        tensor: (BATCH, *(UNKNOWN,) * len(each.shape))
        for tensor, each in inputs.items()
        if layout_of(each.name) is None and (has_steps or given[tensor][1:2] == (CHANNELS,))
    }
    if not unsure:
        return given
    found = _Followed(graph, calls, {**given, **unsure}).all()
    read = {tensor: found[tensor] or () for tensor in unsure}
    clear = {tensor: own for tensor, own in read.items() if own and not any(each.is_vague for each in own)}
    return {**given, **clear}


class _Followed:
    """The passes through a graph."""

    def __init__(
        self, graph: FollowedGraph, calls: Sequence[LayerCall], given: Mapping[str, Dimensions]
    ) -> None:
        self._graph = graph
        self._order = list(graph.in_order())
        self._declared = declared_outputs(calls)
        self._declared_of: dict[str, list[str]] = defaultdict(list)
        for tensor in self._declared:
            self._declared_of[node_of(tensor)].append(tensor)
        self._given = given
        self._demanded: dict[str, Dimensions] = {}
        self._changes = 0
        self._read_by_layers = declared_inputs(calls)
        self._known: dict[str, Dimensions | None] = {}

    def all(self) -> Mapping[str, Dimensions | None]:
        """The axes of every tensor. A pass that demands something new is followed by another."""
        for _ in range(_MOST_PASSES):
            before = self._changes
            self._known = {}
            for node in self._order:
                self._visit(node)
            if self._changes == before:
                break
        return self._known

    def steps(self) -> list[Step]:
        """All operations, each behind those that it reads."""
        return [self._step(node) for node in self._order]

    def _step(self, node: Any) -> Step:
        sources = tuple(full_name(each) for each in node.input if not each.startswith("^"))
        return Step(self._graph, node, sources, [self._known.get(each) for each in sources])

    def _visit(self, node: Any) -> None:
        first = f"{node.name}:0"
        if first in self._given:
            self._set(first, self._given[first])
            return
        step = self._step(node)
        if node.op not in _WITHOUT_AXES and any(own is not None for own in step.read):
            demand = demanded_by(step)
            if demand is not None:
                self._demand(*demand)
            for number, dimensions in enumerate(_outputs(step)):
                self._set(f"{node.name}:{number}", dimensions)
        for tensor in self._declared_of.get(node.name, ()):
            if tensor not in self._known:
                self._set(tensor, None)

    def _set(self, tensor: str, dimensions: Dimensions | None) -> None:
        if tensor in self._declared:
            source, rule = self._declared[tensor]
            shape = self._graph.shape(tensor)
            declared = rule(self._known.get(source or ""), len(shape or ()), dimensions)
            dimensions = declared or dimensions
        demanded = self._demanded.get(tensor)
        if demanded is not None and dimensions is not None and len(demanded) == len(dimensions):
            dimensions = tuple(map(_if_vague, dimensions, demanded))
        self._known[tensor] = dimensions
        self._refine(tensor, dimensions or ())
        if tensor in self._read_by_layers:
            # Before the operations of the layer are visited, which know less.
            self._demand(tensor, self._read_by_layers[tensor])

    def _refine(self, tensor: str, dimensions: Dimensions) -> None:
        """Note sizes that follow from the axes of which one was flattened, where TensorFlow does not infer them."""
        shape = self._graph.shape(tensor) if any(each.size for each in dimensions) else None
        if shape is not None and None in shape[1:]:
            sizes = (
                own if own is not None else each.size for own, each in zip(shape, dimensions, strict=True)
            )
            self._graph.refine(tensor, tuple(sizes))

    def _demand(self, tensor: str, wanted: Dimensions) -> None:
        """Note what a tensor's axes are taken to be, and what follows for the tensors before it."""
        waiting = [(tensor, wanted)]
        while waiting:
            name, axes = waiting.pop()
            own = self._known.get(name)
            if own is None or len(own) != len(axes):
                continue
            if not any(each.is_vague and not other.is_vague for each, other in zip(own, axes, strict=True)):
                continue
            before = self._demanded.get(name)
            self._demanded[name] = merged(before, axes)
            if self._demanded[name] == before:
                continue
            self._changes += 1
            waiting.extend(demands_before(self._step(self._graph.nodes[node_of(name)]), axes))


def _if_vague(own: Dimension, other: Dimension) -> Dimension:
    return united((own, other)) if own.is_vague else own


def _of_call(step: Step) -> list[Dimensions | None]:
    """A call of a function has the axes that follow in the function's body."""
    body = step.graph.body(step.node.attr["f"].func.name)
    if body is None:
        raise Unclear
    given = {name: own for name, own in zip(body.entrances, step.read, strict=True) if own is not None}
    found = _Followed(body.graph, (), given).all()
    return [found.get(name) for name in body.exits]


_RULES: Mapping[str, Rule] = {**RULES, "PartitionedCall": _of_call, "StatefulPartitionedCall": _of_call}


def _outputs(step: Step) -> Sequence[Dimensions | None]:
    rule = _RULES.get(step.op)
    count = _outputs_of(step)
    try:
        found = None if rule is None else rule(step)
    except Unclear:
        found = None
    except (IndexError, TypeError, ValueError):
        # A graph of strangers can have what no rule expects. It is served all the same, with unknown axes.
        logger.warning("no axes of %s %s", step.op, step.node.name, exc_info=True)
        found = None
    if found is None:
        return [step.unknown(number) for number in range(count)]
    return [found] * count if isinstance(found, tuple) else found


def _outputs_of(step: Step) -> int:
    """How many outputs of an operation are values."""
    attr = step.node.attr
    if step.op in {"Split", "SplitV", "Unpack"}:
        return int(attr["num"].i or attr["num_split"].i)
    return max([1, *(len(attr[name].list.type) for name in ("T", "Tout", "output_types") if name in attr)])


def _described(
    tensor: Tensor, dimensions: Dimensions | None, call: LayerCall, kinds: Mapping[tuple[str, ...], str]
) -> Tensor:
    own = (dimensions or ())[1:] if tensor.batched else dimensions or ()
    if len(own) != len(tensor.shape):
        return tensor
    names: list[AxisName] = [_public(each) for each in own]
    if names == ["unknown"] and own[0].is_in_order:
        names = ["channels"]
    axes = tuple(with_heads(call, kinds, names))
    grids = [each.grid for each in own if each.name == "tokens"]
    return replace(tensor, axes=axes, grid=grids[0] if len(grids) == 1 else None)


def _scores(tensor: Tensor, dimensions: Dimensions | None) -> Tensor:
    own = (dimensions or ())[1:] if tensor.batched else dimensions or ()
    followed = [_public(each) for each in own] if len(own) == len(tensor.shape) else []
    unknown: list[AxisName] = ["unknown"] * len(tensor.shape)
    if not all(each.is_in_order for each in own):
        return replace(tensor, axes=tuple(unknown))
    return replace(tensor, axes=tuple(axes_of_scores(followed or unknown)))


def _read_or_not(tensor: Tensor, read: Collection[str]) -> Tensor:
    if tensor.grid is None or tensor.name in read:
        return tensor
    return replace(tensor, grid=replace(tensor.grid, is_read=False))


def _public(own: Dimension) -> AxisName:
    """What an axis counts; unknown, too, if its places are not in order, so that nobody takes the last for the first."""
    is_known = own.is_in_order and own.name not in {"batch", "scattered", "single"}
    return own.name if is_known else "unknown"  # type: ignore[return-value]
