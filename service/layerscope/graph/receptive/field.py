"""The receptive field of a unit: the box of each input that its value is computed from."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import tensorflow as tf
from cachetools import LRUCache
from tensorflow.python.framework.ops import dismantle_graph

from layerscope.errors import OptionInvalid
from layerscope.graph.analysis.subgraph import node_of
from layerscope.graph.prepared.prepared_model import PreparedModel
from layerscope.graph.receptive.backwards import output_of, seen_from
from layerscope.graph.receptive.operations import Operations, Sizes, read_operations
from layerscope.graph.receptive.reach import Line, Reach, Read
from layerscope.graph.taps.geometry import axes_of_places
from layerscope.graph.taps.tap import Input, Shape, Tap

_SIZES_KEPT = 4


@dataclass(frozen=True)
class FieldOnInput:
    """The receptive field of a unit on one input.

    Attributes:
        input: the input.
        box: begin and end (excluded) along each spatial axis; None if the unit does not depend on the input.
        is_whole: whether the box is the whole input.
        lines: how the box depends on the unit along each axis, without borders, where that is regular.
        because: why every unit depends on all places, if that is so.
    """

    input: Input
    box: Mapping[str, tuple[int, int]] | None
    is_whole: bool
    lines: Mapping[str, Line]
    because: str | None


@dataclass(frozen=True)
class ReceptiveField:
    """The receptive field of a unit of a layer on every input.

    Attributes:
        tap: the layer.
        unit: its place along each axis of the map; empty for a vector, whose units have no places.
        is_exact: if not, the field may be smaller: there is no exact rule for an operation before the layer.
        inputs: the field on each.
    """

    tap: Tap
    unit: Mapping[str, int]
    is_exact: bool
    inputs: tuple[FieldOnInput, ...]


class ReceptiveFields:
    """The receptive fields of all units of one model, from its graph alone. Safe to use from many threads."""

    def __init__(self, prepared: PreparedModel) -> None:
        metadata = prepared.metadata
        self._graph = prepared.graph
        self._inputs = list(zip(metadata.placeholders, metadata.inputs, strict=True))
        self._places = [axes_of_places(call.taps[0]) for call in metadata.calls[: len(metadata.inputs)]]
        self._layers = {
            node_of(tap.tensor.name): tap.address
            for call in reversed(metadata.calls)
            for tap in call.taps
            if tap.place.site == "output" and not call.is_group
        }
        self._known: LRUCache[tuple[Shape, ...], Operations] = LRUCache(_SIZES_KEPT)
        self._lock = threading.Lock()

    def of(self, tap: Tap, unit: Mapping[str, int], input_shapes: Sequence[Shape]) -> ReceptiveField:
        """The receptive field of a unit on inputs of `input_shapes`, which have no batch axis.

        Args:
            tap: a layer.
            unit: its place by axis, see `PLACE_NAMES`; an axis that is left out means the middle.
            input_shapes: of one image.

        Raises:
            OptionInvalid: the map has no such place, or other axes.
        """
        graph = self._on(tuple(map(tuple, input_shapes)))
        axes = axes_of_places(tap) if tap.tensor.batched else {}
        shape = graph.by_name[node_of(tap.tensor.name)].gives[output_of(tap.tensor.name)]
        place = {} if shape is None else _place(tap, {name: shape[axis] for name, axis in axes.items()}, unit)
        start = _start(tap, shape, {axes[name]: at for name, at in place.items()})
        seen, is_exact = seen_from(graph, {tap.tensor.name: start}, tap.address, self._layers)
        inputs = tuple(
            _on_input(each, seen.get(name), places, axes)
            for (_, each), name, places in zip(self._inputs, graph.entrances, self._places, strict=True)
        )
        return ReceptiveField(tap, place, is_exact and shape is not None, inputs)

    def _on(self, input_shapes: tuple[Shape, ...]) -> Operations:
        with self._lock:
            known = self._known.get(input_shapes)
            if known is None:
                known = self._known[input_shapes] = self._read(input_shapes)
        return known

    def _read(self, input_shapes: tuple[Shape, ...]) -> Operations:
        definition = tf.compat.v1.GraphDef.FromString(self._graph)
        with tf.Graph().as_default() as scratch:
            replaced = {
                name: tf.compat.v1.placeholder(each.dtype, [1, *shape])
                for (name, each), shape in zip(self._inputs, input_shapes, strict=True)
            }
            tf.import_graph_def(definition, input_map=replaced, name="")
            operations = read_operations(scratch, replaced.values())
        dismantle_graph(scratch)
        return operations


def _place(tap: Tap, sizes: Mapping[str, int], unit: Mapping[str, int]) -> dict[str, int]:
    for name, place in unit.items():
        if name not in sizes:
            there = f"places along {' and '.join(sizes)} only" if sizes else "no places"
            raise OptionInvalid(f"{tap.address} has {there}: leave out {name}.", option=name)
        if not 0 <= place < sizes[name]:
            raise OptionInvalid(
                f"{tap.address} has places {name}=0 to {sizes[name] - 1}: there is no {name}={place}.",
                option=name,
                size=sizes[name],
            )
    return {name: unit.get(name, size // 2) for name, size in sizes.items()}


def _start(tap: Tap, shape: Sizes | None, places: Mapping[int, int]) -> Read:
    because = None if places else f"{tap.address} has no places: each of its units may see everything."
    return tuple(
        Reach.unit(size, places[axis], axis) if axis in places else Reach.whole(size, because)
        for axis, size in enumerate(shape or ())
    )


def _on_input(
    each: Input, seen: Read | None, axes: Mapping[str, int], axes_of_map: Mapping[str, int]
) -> FieldOnInput:
    if seen is None:
        return FieldOnInput(each, None, is_whole=False, lines={}, because=None)
    by_name = {name: seen[axis] for name, axis in axes.items()}
    box = {name: (int(reach.places[0]), int(reach.places[-1]) + 1) for name, reach in by_name.items()}
    lines = {
        name: reach.line
        for name, reach in by_name.items()
        if reach.line is not None and reach.line.of == axes_of_map.get(name)
    }
    is_whole = all(box[name] == (0, reach.size) for name, reach in by_name.items())
    because = next((reach.because for reach in by_name.values() if reach.because), None)
    return FieldOnInput(each, box, is_whole, lines, because)
