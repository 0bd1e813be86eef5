"""Plan selection: which compiled plan runs for some taps, for a gradient, or for the part between some taps."""

import logging
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from layerscope.errors import InputMismatch, ModelNotLoaded, NotDifferentiable
from layerscope.graph.analysis.cost_model import CostModel
from layerscope.graph.analysis.subgraph import GraphParts
from layerscope.graph.prepared.prepared_model import PreparedModel
from layerscope.graph.prepared.weights import Weights, release
from layerscope.graph.rewrites import Rewrite
from layerscope.graph.runtime.compilation import PlanCompiler
from layerscope.graph.runtime.derivatives import Derivative
from layerscope.graph.runtime.openvino_plan import can_run, openvino_plan
from layerscope.graph.runtime.plans import GradientKey, Plan, PlanCache, PlanKey, Runtime
from layerscope.graph.runtime.rewrite_check import check_rewrites
from layerscope.graph.taps.tap import Shape, Tap

Array = np.ndarray[Any, np.dtype[Any]]

logger = logging.getLogger(__name__)

_COVERING_WORK = 1.05
"""A plan that fetches more than a run needs is used if it is at most so many times the work."""


class PlanSelection:
    """The plans of one model: compiled when they are first needed, kept in a cache. Safe to use from many threads.

    Args:
        prepared: the model. Its memory holds the weights that all plans compute from.
        parts: its graph.
        costs: estimates the work of a plan.
        plan_bytes: memory for the plans that are kept.
        rewrites: what makes plans faster.
        runtime: what runs them.
    """

    def __init__(
        self,
        prepared: PreparedModel,
        parts: GraphParts,
        costs: CostModel,
        *,
        plan_bytes: int,
        rewrites: Sequence[Rewrite],
        runtime: Runtime = "tensorflow",
    ) -> None:
        self._placeholders = prepared.metadata.fed
        self._taps = {tap.tensor.name: tap for call in prepared.metadata.calls for tap in call.taps}
        self._costs = costs
        self._parts = parts
        self._compiler: PlanCompiler | None = PlanCompiler(parts, Weights(prepared), self._taps)
        self._rewrites = tuple(rewrites)
        self._runtime = runtime
        self._cache = PlanCache(self._compile, plan_bytes)
        self._not_differentiable: set[PlanKey] = set()

    @property
    def weight_bytes(self) -> int:
        """Bytes of the weights in memory."""
        return self._compiler.weights.nbytes if self._compiler else 0

    @property
    def rewrites(self) -> tuple[Rewrite, ...]:
        """The rewrites of plans that are compiled from now on; none where plans are plain."""
        return self._rewrites

    @property
    def nbytes(self) -> int:
        """Bytes of the plans that are kept, about."""
        return self._cache.nbytes

    def check_rewrites(
        self, prepared: PreparedModel, outputs: Sequence[Tap], examples: Iterable[Sequence[Array]]
    ) -> str | None:
        """Compile no rewritten plans from now on if they compute other values than plain ones on an example.

        To be called before the first plan is needed. Arguments and result as for
        `layerscope.graph.runtime.rewrite_check.check_rewrites`.
        """
        # Weights of its own: what rewrites compute from weights is shared by the plans of a model and never freed.
        taps: dict[str, Tap] = {}
        for call in prepared.metadata.calls:
            for tap in call.taps:
                # Where taps share a tensor, the layer that makes it gives it its name, not the one that reads it.
                taps.setdefault(tap.tensor.name, tap)
        compiler = PlanCompiler(self._parts, Weights(prepared), taps)
        problem = check_rewrites(compiler, self._placeholders, outputs, self._rewrites, examples)
        if problem is not None:
            self._rewrites = ()
        release()
        return problem

    def for_run(
        self,
        taps: Sequence[Tap],
        input_shapes: Sequence[Shape],
        feeds: Iterable[Tap] = (),
        edited: Iterable[Tap] = (),
    ) -> Plan:
        """The plan that fetches `taps`, or one in the cache that fetches more at little more work.

        Args:
            taps: what to fetch.
            input_shapes: of one image.
            feeds: the taps whose values are replaced.
            edited: the taps whose values are edited.

        Raises:
            ModelNotLoaded: the model is closed.
        """
        key = self._run_key(taps, feeds, edited)
        return self._find(key, taps, input_shapes) or self._cache.get(key)

    def find(
        self, taps: Sequence[Tap], input_shapes: Sequence[Shape], edited: Iterable[Tap] = ()
    ) -> Plan | None:
        """The plan in the cache that a run for `taps` would use, if there is one."""
        return self._find(self._run_key(taps, edited=edited), taps, input_shapes)

    def is_ready(
        self, taps: Sequence[Tap], input_shapes: Sequence[Shape], edited: Iterable[Tap] = ()
    ) -> bool:
        """Whether a run for `taps` needs no compilation."""
        return self.find(taps, input_shapes, edited) is not None

    def compile(self, taps: Sequence[Tap], edited: Iterable[Tap] = ()) -> None:
        """Compile the plan for `taps`, of which some are edited or computed from edited ones, unless it is in the cache.

        Raises:
            ModelNotLoaded: the model is closed.
        """
        self._cache.get(self._run_key(taps, edited=edited))

    def for_gradient(self, derivative: Derivative, edited: Iterable[Tap] = ()) -> Plan:
        """The plan of a gradient.

        Raises:
            NotDifferentiable: there is none. Mostly that is known before, see `GraphInspection.gradient_obstacle`.
            ModelNotLoaded: the model is closed.
        """
        key = self._gradient_key(derivative, edited)
        # A gradient that does not exist is remembered too: finding that out takes half the time of compiling.
        if key not in self._not_differentiable:
            try:
                return self._cache.get(key)
            except (LookupError, ValueError, TypeError) as error:
                logger.warning("a gradient cannot be compiled: %s", error)
                self._not_differentiable.add(key)
        target, source = derivative.target.address, derivative.source.address
        raise NotDifferentiable(
            f"{target} cannot be differentiated by {source}: TensorFlow refuses what lies between, see the log.",
            target=target,
            layer=source,
        )

    def is_gradient_ready(self, derivative: Derivative, edited: Iterable[Tap] = ()) -> bool:
        """Whether a gradient needs no compilation."""
        return self._cache.find(self._gradient_key(derivative, edited)) is not None

    def compile_gradient(self, derivative: Derivative, edited: Iterable[Tap] = ()) -> None:
        """Compile the plan of a gradient, unless it is in the cache. Raises as `for_gradient`."""
        self.for_gradient(derivative, edited)

    def for_part(self, sources: Iterable[Tap], targets: Sequence[Tap], edited: Iterable[Tap] = ()) -> Plan:
        """The plan that computes targets from some taps, of which some are edited, and nothing before these.

        Raises:
            InputMismatch: the layers between cannot run on part of their input.
            ModelNotLoaded: the model is closed.
        """
        try:
            return self._cache.get(_part_key(sources, targets, edited))
        except (LookupError, ValueError, TypeError) as error:
            address = targets[0].address
            message = f"What lies before {address} cannot run on part of its input."
            raise InputMismatch(message, layer=address) from error

    def is_part_ready(
        self, sources: Iterable[Tap], targets: Sequence[Tap], edited: Iterable[Tap] = ()
    ) -> bool:
        """Whether `Executable.run_between` needs no compilation."""
        return self._cache.find(_part_key(sources, targets, edited)) is not None

    def compile_part(
        self, sources: Iterable[Tap], targets: Sequence[Tap], edited: Iterable[Tap] = ()
    ) -> None:
        """Compile the plan for `Executable.run_between`, unless it is in the cache. Raises as `for_part`."""
        self.for_part(sources, targets, edited)

    def close(self) -> None:
        """Free the plans and let go of the weights."""
        self._cache.clear()
        self._compiler = None
        release()

    def _compile(self, key: PlanKey) -> Plan:
        if self._compiler is None:
            raise ModelNotLoaded("The model was unloaded meanwhile: load it again.")
        if self._runtime == "openvino" and can_run(key):
            return openvino_plan(self._compiler, key)
        return self._compiler.compile(key, self._rewrites)

    def _find(self, key: PlanKey, taps: Sequence[Tap], input_shapes: Sequence[Shape]) -> Plan | None:
        plan = self._cache.find(key)
        if plan is None and (covering := self._cache.covering(key)):
            work = {each: self._costs.work(self._fetched_by(each), input_shapes) for each in covering}
            least = min(covering, key=work.__getitem__)
            if work[least] <= _COVERING_WORK * self._costs.work(taps, input_shapes):
                plan = self._cache.find(least.key)
        return plan

    def _fetched_by(self, plan: Plan) -> list[Tap]:
        return [self._taps[name] for name in plan.key.fetched]

    def _run_key(self, taps: Iterable[Tap], feeds: Iterable[Tap] = (), edited: Iterable[Tap] = ()) -> PlanKey:
        replaced = [tap.tensor.name for tap in feeds]
        # A fed tensor is fetched too, or TensorFlow might fuse it away and compute the original value behind it.
        fetched = {*(tap.tensor.name for tap in taps), *replaced}
        return PlanKey((*self._placeholders, *replaced), tuple(sorted(fetched)), edited=_sorted_names(edited))

    def _gradient_key(self, derivative: Derivative, edited: Iterable[Tap] = ()) -> PlanKey:
        source = derivative.source.tensor.name
        replaced = (source,) if derivative.is_fed else ()
        gradient = GradientKey(derivative.target.tensor.name, source, derivative.guided)
        return PlanKey((*self._placeholders, *replaced), replaced, gradient, edited=_sorted_names(edited))


def _part_key(sources: Iterable[Tap], targets: Iterable[Tap], edited: Iterable[Tap] = ()) -> PlanKey:
    # Taps can share a tensor, which is fetched once.
    fetched = tuple(dict.fromkeys(_names(targets)))
    return PlanKey(_names(sources), fetched, is_cut=True, edited=_sorted_names(edited))


def _sorted_names(edited: Iterable[Tap]) -> tuple[str, ...]:
    """One order, so that one plan serves the edits of some taps whatever their order."""
    return tuple(sorted(_names(edited)))


def _names(taps: Iterable[Tap]) -> tuple[str, ...]:
    return tuple(tap.tensor.name for tap in taps)
