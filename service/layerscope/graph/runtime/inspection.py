"""Inspection: questions about a traced model that its graph answers without computing an image."""

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, cast

import numpy as np
from cachetools import LRUCache

from layerscope.errors import InputMismatch
from layerscope.graph.analysis.cost_model import CostModel
from layerscope.graph.analysis.gradient_flow import GradientFlow
from layerscope.graph.analysis.logits import Logits, find_logits
from layerscope.graph.analysis.random_operations import drawing_anew
from layerscope.graph.analysis.run_cost import RunCost
from layerscope.graph.analysis.shapes import TapShapes
from layerscope.graph.analysis.subgraph import GraphParts, in_order, node_of
from layerscope.graph.prepared.prepared_model import PreparedModel
from layerscope.graph.rewrites.guided_relu import RECTIFIERS
from layerscope.graph.taps.tap import Shape, Tap

Array = np.ndarray[Any, np.dtype[Any]]

Measure = Callable[[Sequence[Array], Sequence[Tap]], list[Array]]
"""Runs a model once on one array an input, and fetches taps."""

_FLOWS_KEPT = 8


class GraphInspection:
    """Shapes, cost estimates and dependencies of one model. Safe to use from many threads.

    Args:
        prepared: the model.
        parts: its graph.
        shapes: of its taps.
        costs: estimates what runs cost.
        run: for shapes that only a run can tell.
    """

    def __init__(
        self,
        prepared: PreparedModel,
        parts: GraphParts,
        shapes: TapShapes,
        costs: CostModel,
        run: Measure,
    ) -> None:
        self._inputs = prepared.metadata.inputs
        self._data_sized = {each.path[0] for each in prepared.metadata.data_sized}
        self._taps = {tap.tensor.name: tap for call in prepared.metadata.calls for tap in call.taps}
        self._parts = parts
        self._shapes = shapes
        self._costs = costs
        self._run = run
        self._flows: LRUCache[str, GradientFlow] = LRUCache(_FLOWS_KEPT)
        self._lock = threading.Lock()

    def nodes_in_order(self) -> Mapping[str, Any]:
        """The nodes of the graph by name, each behind those that it computes from."""
        nodes = self._parts.nodes
        return {name: nodes[name] for name in in_order(nodes, *nodes)}

    def measure_by(self, run: Measure) -> None:
        """Have sizes that only a run can tell measured by another function: such a run may never end."""
        self._run = run

    def inferred_shapes(self, taps: Sequence[Tap], input_shapes: Sequence[Shape]) -> list[Shape]:
        """The shape of each tap for one image, on inputs of `input_shapes`, all without batch axis.

        Where a layer folds other axes into the batch axis, the number of rows of one image comes first. None stands
        for a size that only a run can tell, as behind a loop of unknown length.

        Raises:
            InputMismatch: the model cannot run on inputs of these sizes.
        """
        known = self._shapes.on(input_shapes)
        return [known[tap.tensor.name] for tap in taps]

    def shapes(self, taps: Sequence[Tap], input_shapes: Sequence[Shape]) -> list[tuple[int, ...]]:
        """As `inferred_shapes`, without a None: unknown sizes are measured with one blank image, once for each size.

        Raises:
            InputMismatch: the model cannot run on inputs of these sizes.
        """
        known = self._shapes.on(input_shapes)
        unknown = [tap for tap in taps if None in known[tap.tensor.name]]
        if unknown:
            known.update(self._measured(unknown, input_shapes))
        return [cast("tuple[int, ...]", known[tap.tensor.name]) for tap in taps]

    def is_sized_by_data(self, taps: Sequence[Tap]) -> bool:
        """Whether taps are computed from values whose size is a number in the input, so that a blank image tells nothing."""
        return bool(self._data_sized) and any(
            not self._data_sized.isdisjoint(self._parts.needed(tap.tensor.name)) for tap in taps
        )

    def logits(self, output: Tap) -> Logits:
        """The logits behind an output and the activation function between, as far as the graph tells."""
        return find_logits(output, self._parts.nodes, self._taps.values())

    def depends(self, target: Tap, source: Tap) -> bool:
        """Whether the value of `target` is computed from that of `source`."""
        return node_of(source.tensor.name) in self._parts.needed(target.tensor.name)

    def draws_anew(self, tap: Tap) -> bool:
        """Whether the value of a tap has other random numbers in each run, whatever the seed."""
        return bool(self._drawing_anew) and not self._drawing_anew.isdisjoint(
            self._parts.needed(tap.tensor.name)
        )

    @cached_property
    def _drawing_anew(self) -> frozenset[str]:
        return frozenset(drawing_anew(self._parts.nodes.values(), self._parts.functions))

    def gradient_obstacle(self, target: Tap, source: Tap) -> str | None:
        """Why `target` cannot be differentiated by `source`, as half a sentence; None if it can."""
        name = target.tensor.name
        with self._lock:
            flow = self._flows.get(name)
            if flow is None:
                flow = self._flows[name] = GradientFlow(self._parts.nodes, self._parts.functions, name)
        return flow.obstacle(source.tensor.name)

    def dominators(self, source: Tap, target: Tap) -> set[str]:
        """The names of the nodes on every path from one tap to another, see `GraphParts.dominators`."""
        return self._parts.dominators(source.tensor.name, target.tensor.name)

    def frontier(self, source: Tap, target: Tap) -> list[Tap]:
        """The taps besides `source` that must be known to compute `target` without running what lies before `source`.

        None are needed where every path from an input to the target leads through the source. A connection that skips
        the source is one.

        Raises:
            InputMismatch: the target does not depend on the source, or a value that skips the source can be no such tap.
        """
        if not self.depends(target, source):
            raise InputMismatch(
                f"{target.address} does not depend on {source.address}.", layer=source.address
            )
        stops = {name: tap for name, tap in self._taps.items() if tap.tensor.batched and name.endswith(":0")}
        try:
            names = self._parts.frontier(source.tensor.name, target.tensor.name, stops.keys())
        except LookupError as error:
            message = f"What lies between {source.address} and {target.address} cannot run apart."
            raise InputMismatch(message, layer=source.address) from error
        return [stops[name] for name in names]

    def is_rectified(self, target: Tap) -> bool:
        """Whether `target` is computed through a ReLU that guided backpropagation changes."""
        return any(
            self._parts.nodes[name].op in RECTIFIERS for name in self._parts.needed(target.tensor.name)
        )

    def backward_bytes(self, target: Tap, input_shapes: Sequence[Shape]) -> int:
        """Bytes of a gradient of one image, about: all values on the way, forwards and backwards."""
        return 2 * self._costs.total([target], input_shapes)

    def peak_bytes(self, taps: Sequence[Tap], input_shapes: Sequence[Shape]) -> int:
        """Bytes of a run for one image at its fullest moment, about, the values of `taps` among them.

        Estimated, see `layerscope.graph.analysis.node_memory`: what layers make on their way counts, too. A size that
        only a run can tell counts as the longest side of the inputs.
        """
        return self._costs.peak(taps, input_shapes)

    def value_bytes(self, taps: Sequence[Tap], input_shapes: Sequence[Shape]) -> int:
        """Bytes of the values of `taps` for one image, where their size is known before a run."""
        return self._costs.values(taps, input_shapes)

    def work(self, taps: Sequence[Tap], input_shapes: Sequence[Shape]) -> int:
        """Multiplications of a run for one image, about; estimated from the calls of layers."""
        return self._costs.work(taps, input_shapes)

    def cost(self, taps: Sequence[Tap], input_shapes: Sequence[Shape]) -> RunCost | None:
        """What a run for one image takes, about; estimated from every node of the graph, see `layerscope.graph.analysis.run_cost`.

        None where nothing but a run can tell: behind a loop whose number of steps depends on data, a value whose size does,
        or an operation that nothing is known of.
        """
        return self._costs.cost(taps, input_shapes)

    def run_seconds(self, taps: Sequence[Tap], input_shapes: Sequence[Shape]) -> float | None:
        """Seconds of a run for one image, about. None as for `cost`."""
        cost = self.cost(taps, input_shapes)
        return None if cost is None else cost.seconds

    def gradient_seconds(self, target: Tap, input_shapes: Sequence[Shape]) -> float | None:
        """Seconds of a gradient of one image, about: a pass backwards takes twice a pass forwards. None as for `cost`."""
        seconds = self.run_seconds([target], input_shapes)
        return None if seconds is None else 3 * seconds

    def _measured(self, taps: Sequence[Tap], input_shapes: Sequence[Shape]) -> dict[str, Shape]:
        blank = [
            np.zeros(cast("tuple[int, ...]", (1, *shape)), np.dtype(each.dtype))
            for each, shape in zip(self._inputs, input_shapes, strict=True)
        ]
        arrays = self._run(blank, taps)
        return {tap.tensor.name: array.shape[1:] for tap, array in zip(taps, arrays, strict=True)}
