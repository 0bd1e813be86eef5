"""A query on its way together with attributions of its images: the model runs forwards once for all of it."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from layerscope.attribution import MethodOptions, method_of
from layerscope.errors import LayerscopeError, NoPicture, NotDifferentiable, TooMany
from layerscope.execution.attributing import Attribution, Progress, question_of
from layerscope.execution.attribution_run import AttributionRun
from layerscope.execution.cache import ActivationCache
from layerscope.execution.inputs import Row
from layerscope.execution.query_run import Key, QueryRun
from layerscope.execution.scheduler import Scheduler
from layerscope.execution.watched_layers import WatchedLayers
from layerscope.graph.model import LoadedModel
from layerscope.graph.taps.tap import Tap
from layerscope.limits import Limits
from layerscope.tensors.activations import Activations
from layerscope.tensors.spec import TensorSpec

Made = TypeVar("Made")


class InspectionRun:
    """A query on its way together with attributions of its images.

    Args:
        model: what runs.
        rows: the images.
        taps: what is wanted of them.
        methods: the options of each attribution, by name of its method.
        limits: the bounds in force.
        cache: where values and maps are kept.
        scheduler: where everything is run.
        watched: is shown the layers that somebody watches.
        is_wanted: tells whether somebody still waits.
        progress: is told how many runs of an attribution are done.

    Attributes:
        query: the values that are wanted, and those that attributions are made of.
        refusals: why there is no attribution, by name of the method, where this model cannot have one.

    Raises:
        OptionInvalid: there is no such method, or an option of one is impossible.
    """

    def __init__(
        self,
        model: LoadedModel,
        rows: list[Row],
        taps: Sequence[Tap],
        methods: Mapping[str, MethodOptions],
        limits: Limits,
        cache: ActivationCache[Key],
        scheduler: Scheduler,
        watched: WatchedLayers,
        *,
        is_wanted: Callable[[], bool],
        progress: Progress,
    ) -> None:
        self.refusals: dict[str, LayerscopeError] = {}
        questions = dict(
            self._possible(methods, lambda name: question_of(model, method_of(name), methods[name]))
        )
        every = dict.fromkeys([*taps, *(tap for each in questions.values() for tap in each.taps)])
        self.query = QueryRun(model, rows, list(every), is_wanted, limits, cache, scheduler, watched)

        def run(name: str) -> AttributionRun:
            made = AttributionRun(
                model,
                questions[name],
                self.query,
                limits,
                cache,
                scheduler,
                is_wanted=is_wanted,
                progress=progress,
            )
            made.require_few_runs()
            return made

        self._runs = dict(self._possible(questions, run))

    def hurry(self, seconds: float) -> None:
        """Be done in so many seconds, attributions included, if that is sooner than it must be anyway."""
        self.query.hurry(seconds)
        for run in self._runs.values():
            run.hurry(seconds)

    def maps(self, name: str) -> TensorSpec:
        """What the maps of an attribution will be."""
        return self._runs[name].maps()

    def building_bytes(self) -> int:
        """The bytes of memory that making the attributions takes, besides the values that they are made of."""
        runs = self._runs.values()
        return sum(run.maps().nbytes for run in runs) + max((run.building_bytes() for run in runs), default=0)

    def attributions(self, found: Activations) -> dict[str, Attribution]:
        """Compute them, one after the other, from what `query` found."""
        return {name: run.attribution(found) for name, run in self._runs.items()}

    def _possible(self, names: Iterable[str], make: Callable[[str], Made]) -> Iterator[tuple[str, Made]]:
        """What can be made; why the others cannot is noted."""
        for name in names:
            try:
                yield name, make(name)
            except (NoPicture, NotDifferentiable, TooMany) as error:
                self.refusals[name] = error
