"""A prepared query: layers and attributions of the same images, planned together, for which the model runs forwards once."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import TypeVar

from layerscope.attribution import method_of
from layerscope.errors import LayerscopeError, NoPicture, NotDifferentiable, OptionInvalid, TooMany
from layerscope.execution.ablation_query import Partial
from layerscope.execution.ablation_run import AblationRun
from layerscope.execution.ablation_spec import resolve_ablation
from layerscope.execution.admission import Workload, plan_of, require_workable
from layerscope.execution.attribution_run import AttributionRun
from layerscope.execution.attribution_spec import resolve_attribution
from layerscope.execution.cache import ActivationCache
from layerscope.execution.cancellation import CancellationToken
from layerscope.execution.effect import effect_of, resolve_effect
from layerscope.execution.inputs import Row
from layerscope.execution.interface import CHANGED_LAYERS, Progress, Query, QueryPlan, Result
from layerscope.execution.lanes import Lanes, total_seconds
from layerscope.execution.paired_run import PairedRun
from layerscope.execution.query_edits import QueryEdits, require_patches
from layerscope.execution.query_run import Key, QueryRun
from layerscope.execution.watched_layers import WatchedLayers
from layerscope.execution.working_memory import MEMORY_WAIT, Account, WorkingMemory
from layerscope.graph.model import LoadedModel
from layerscope.graph.taps.tap import Shape, Tap
from layerscope.limits import Limits

Made = TypeVar("Made")


class LocalPreparedQuery:
    """A query whose model is leased in this process: see `layerscope.execution.interface.Prepared`.

    Args:
        model: the model, which must stay leased.
        query: what to compute.
        rows: its images.
        taps: the layers that it selects.
        edits: its edits.
        patches: its patches.
        limits: the bounds in force.
        cache: where values and maps are kept.
        lanes: where jobs run.
        watched: observes the layers that an operator watches.
        memory: what all queries share.

    Raises:
        OptionInvalid: there is no such method, an option of one or of the sweep is impossible, an edit changes nothing in the
            answer, or there is no edit whose change is asked for.
        TooMany: the sweep takes too many runs.
    """

    def __init__(
        self,
        model: LoadedModel,
        query: Query,
        rows: list[Row],
        taps: Sequence[Tap],
        edits: QueryEdits,
        patches: Mapping[str, list[Row]],
        limits: Limits,
        cache: ActivationCache[Key],
        lanes: Lanes,
        watched: WatchedLayers,
        memory: WorkingMemory,
    ) -> None:
        self._model = model
        self._limits = limits
        self._memory = memory
        self._lanes = lanes
        self._refused_methods: dict[str, LayerscopeError] = {}
        self._is_change = query.change
        methods = query.methods
        specs = dict(
            self._possible(methods, lambda name: resolve_attribution(model, method_of(name), methods[name]))
        )
        swept = None if query.ablation is None else resolve_ablation(model, query.ablation)
        self._effect = None
        if query.effect is not None:
            layers = taps or edits.changed_layers(CHANGED_LAYERS)
            self._effect = resolve_effect(model, query.effect, layers)
        others = [spec for spec in (*specs.values(), swept, self._effect) if spec is not None]
        every = dict.fromkeys([*taps, *(tap for spec in others for tap in spec.taps)])
        seconds = _at_most(query.timeout, limits.deadline_milliseconds)
        edits.require_reach(list(every))
        patch = None if query.ablation is None else query.ablation.patch
        require_patches([*edits.patches, *([] if patch is None else [patch])], patches)

        def values_of(rows: list[Row], taps: list[Tap]) -> QueryRun:
            return QueryRun(model, rows, taps, query.seed, seconds, limits, cache, watched)

        scored = () if self._effect is None else self._effect.measured
        is_paired = query.change or query.effect is not None
        if is_paired and not edits:
            raise OptionInvalid("There is no edit whose change could be shown: give edit.", option="edit")
        kind = PairedRun if is_paired else QueryRun
        self._query = kind(
            model,
            rows,
            list(every),
            query.seed,
            seconds,
            limits,
            cache,
            watched,
            edits,
            values_of(rows, edits.own_taps) if edits.own_taps else None,
            {image: values_of(patches[image], [*own, *scored]) for image, own in edits.patches.items()},
        )

        def attribution(name: str) -> AttributionRun:
            seconds = _at_most(query.timeout, limits.attribution_milliseconds)
            run = AttributionRun(model, specs[name], self._query, seconds, limits)
            run.require_few_runs()
            return run

        self._attributions = dict(self._possible(specs, attribution))
        self._ablation: AblationRun | None = None
        if swept is not None:
            other = None if patch is None else values_of(patches[patch], [*swept.layers, *swept.measured])
            seconds = _at_most(query.timeout, limits.attribution_milliseconds)
            self._ablation = AblationRun(model, swept, self._query, other, seconds, limits)

    @property
    def sizes(self) -> list[Shape]:
        """The shape of each input, without batch axis."""
        return self._query.sizes()

    @cached_property
    def seconds(self) -> float | None:
        """An estimate of the time that all runs take; None where only a run can tell. Nothing runs."""
        return total_seconds(*((1, each.seconds()) for each in [self._query, *self._makers]))

    @property
    def is_long(self) -> bool:
        """See `layerscope.execution.interface.Prepared`."""
        return self._lanes.is_long(self.seconds)

    @cached_property
    def plan(self) -> QueryPlan:
        """What the query would compute.

        For sizes that nothing but a run can tell, a blank image is run, or the images where a size is a number in them.
        """
        return self.planned(measured=True)

    def planned(self, *, measured: bool) -> QueryPlan:
        """What the query would compute.

        Args:
            measured: whether to run where only a run can tell a size.
        """
        runs = self._attributions
        workload = self._query.workload()
        if measured and workload.is_sized_by_data:
            workload = replace(self._query.workload(), found=self._found_shapes(workload))
        maps = {name: run.maps() for name, run in runs.items()}
        # Maps are made one after the other: all of them are kept, and what making one takes is there once.
        building = max((run.building_bytes() for run in self._makers), default=0)
        plan = plan_of(
            workload,
            self._limits,
            seconds=self.seconds,
            measured=measured,
            maps=maps,
            attribution_bytes=sum(spec.nbytes for spec in maps.values()) + building,
            input_bytes=self._query.loading_bytes(every=bool(self._makers)),
            refused_methods=self._refused_methods,
            ablation=None if self._ablation is None else self._ablation.plan,
        )
        return replace(plan, tokens=self._query.tokens, warnings=self._query.warnings)

    def _found_shapes(self, workload: Workload) -> dict[Tap, tuple[int, ...]]:
        """The shapes of the values of the images, which are in the cache afterwards, if they fit.

        Raises:
            AnswerTooLarge: computing them takes more than one query may, or a value is larger than it may be.
        """
        workload.require_measurable(self._limits)
        peak = workload.model.executable.inspection.peak_bytes(workload.taps, workload.sizes)
        needed = workload.images * peak
        require_workable(needed, self._limits)
        with self._memory.reserved(needed, MEMORY_WAIT * self._query.seconds_left()):
            found = self._query.activations(self._lanes.lane(self.seconds))
        return {tap: found[tap.address].values.shape[1:] for tap in workload.taps}

    @property
    def _makers(self) -> list[AttributionRun | AblationRun]:
        """What takes runs besides the one for the values of layers."""
        ablation = [] if self._ablation is None else [self._ablation]
        return [*self._attributions.values(), *ablation]

    @contextmanager
    def run(
        self,
        answer_bytes: int = 0,
        *,
        cancellation: CancellationToken | None = None,
        progress: Progress | None = None,
        partial: Partial | None = None,
        account: Account | None = None,
    ) -> Iterator[Result]:
        """Compute the result: see `layerscope.execution.interface.Prepared`."""
        owner = account.owner if account else None
        lane = self._lanes.lane(self.seconds, cancellation, owner)
        needed = self._admitted_bytes(answer_bytes)
        patience = MEMORY_WAIT * self._query.seconds_left()
        with self._memory.reserved(needed, patience, owner):
            pair = self._query.pair(lane) if isinstance(self._query, PairedRun) else None
            found = self._query.activations(lane) if pair is None else pair.edited
            attributions = {
                name: run.attribution(found, lane, progress) for name, run in self._attributions.items()
            }
            ablations = None
            if self._ablation is not None:
                ablations = self._ablation.ablations(found, lane, progress, partial)
            effect = None
            if self._effect is not None and pair is not None:
                sources = list(self._query.patches(lane).values())
                effect = effect_of(self._effect, pair, sources[0] if len(sources) == 1 else None)
            if self._is_change and pair is not None:
                found = pair.change
            yield Result(
                self._model.description, found, attributions, self._refused_methods, ablations, effect
            )

    def _admitted_bytes(self, answer_bytes: int) -> int:
        """The memory that the query takes, answer included.

        Raises:
            AnswerTooLarge: one query may not take as much.
        """
        plan = self.plan
        plan.require_computable()
        if plan.computation is None:
            raise AssertionError("A plan that was measured knows all sizes.")
        needed = plan.computation.working_bytes(answer_bytes)
        require_workable(needed, self._limits)
        return needed

    def _possible(self, names: Iterable[str], make: Callable[[str], Made]) -> Iterator[tuple[str, Made]]:
        """What can be made; why the others cannot is kept."""
        for name in names:
            try:
                yield name, make(name)
            except (NoPicture, NotDifferentiable, TooMany) as error:
                self._refused_methods[name] = error


def _at_most(timeout: float | None, milliseconds: int) -> float:
    """The seconds that a query has: those of a limit, or fewer if its caller gives it fewer."""
    limit = milliseconds / 1000
    return limit if timeout is None else min(limit, timeout)
