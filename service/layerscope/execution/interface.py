"""The engine's interface: queries, plans and results as data, and the protocols that every engine keeps.

A query, its plan and its result are plain data without callbacks, clocks or live objects, so that they can be sent to
another process. What belongs to one caller in one process, a `CancellationToken` and a `Progress` callback, is passed to
`Prepared.run`.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import numpy as np

from layerscope.attribution import Method, MethodOptions
from layerscope.attribution.method import ScoreOptions
from layerscope.attribution.targets import Target
from layerscope.errors import LayerscopeError
from layerscope.execution.ablation_query import AblationOptions, AblationPlan, Ablations, Partial
from layerscope.execution.cancellation import CancellationToken
from layerscope.execution.comparison_plan import ComparisonPlan
from layerscope.execution.comparison_query import Comparison, ComparisonQuery
from layerscope.execution.effect import Effect
from layerscope.execution.inputs import Sources
from layerscope.execution.observers import Observer
from layerscope.execution.progress import Progress
from layerscope.execution.query_plan import Computation, LayerPlan, QueryPlan
from layerscope.execution.watched_layers import WatchedLayer
from layerscope.execution.working_memory import Account, WorkingMemory
from layerscope.graph.model import LoadedModel, ModelDescription
from layerscope.graph.receptive.field import ReceptiveField
from layerscope.graph.taps.tap import Tap
from layerscope.interventions import EditOptions
from layerscope.limits import Limits
from layerscope.models.changes import ModelChanges
from layerscope.models.entry import Entry, State
from layerscope.tensors.activations import Activation, Activations
from layerscope.tensors.spec import AxisOfBatch
from layerscope.tensors.timing import Timing
from layerscope.text import Token

__all__ = [
    "AblationOptions",
    "AblationPlan",
    "Ablations",
    "Attribution",
    "CancellationToken",
    "Computation",
    "Engine",
    "LayerPlan",
    "ModelRecord",
    "Partial",
    "Prepared",
    "PreparedComparison",
    "PreparedQuery",
    "Progress",
    "Query",
    "QueryPlan",
    "Result",
]

CHANGED_LAYERS = 64
"""The layers of a summary of edits, unless they are named."""

Plan_co = TypeVar("Plan_co", covariant=True)
Answer_co = TypeVar("Answer_co", covariant=True)


@dataclass(frozen=True, kw_only=True)
class Query:
    """What to compute: layers of a model for some inputs, attributions of those inputs, or both.

    Attributes:
        model: `name`, `name@version` or `name@label`.
        sources: images or tensors by input name.
        layers: selectors, see `layerscope.graph.taps.selectors`. None are needed where there are `methods`.
        methods: the options of each attribution, by name of its method; see `layerscope.attribution.METHODS`.
        ablation: the options of a sweep; None for none.
        edits: what is changed inside the model; everything in the answer is of the edited model.
        change: whether the values are those of the edited model minus those of the model as it is.
        effect: what the effect of the edits is measured on; None if it is not asked for. Without layers, those that they change
            are taken, at most `CHANGED_LAYERS`.
        patches: the images whose values edits and the sweep put in place of others, by the id that they name.
        seed: of the random numbers that the model draws, at least 0. It changes nothing in a model that draws none.
        timeout: the seconds that the caller gives it, if they are fewer than `Limits.deadline_milliseconds`.
    """

    model: str
    sources: Sources
    layers: Sequence[str] = ()
    methods: Mapping[str, MethodOptions] = field(default_factory=dict)
    ablation: AblationOptions | None = None
    edits: Sequence[EditOptions] = ()
    change: bool = False
    effect: ScoreOptions | None = None
    patches: Mapping[str, Sources] = field(default_factory=dict)
    seed: int = 0
    timeout: float | None = None


MAP_AXES: tuple[AxisOfBatch, ...] = ("batch", "height", "width")
"""What the axes of the heat maps of a batch of images count."""


@dataclass(frozen=True)
class Attribution:
    """Heat maps: where in images the reasons for an output lie.

    Attributes:
        model: the model that was explained.
        method: the method.
        options: the options that were in force.
        target_layer: the layer that the maps lie over, or the input if the method explains inputs.
        targets: what is explained, one an image; empty for methods that look at no target.
        axes: what the axes of the maps count, `batch` first.
        maps: float32 of shape (images, *places), as the method's paper defines them, not scaled. They cover the
            whole input, whatever their own size. A sum beyond float32 is infinite.
        images: the names of the images.
        edits: those of the model that was explained, as texts.
        seed: of the random numbers that the model drew; None if it draws none.
        timings: where the time went.
        hit: whether nothing had to run.
        tokens: of each text, see `Activations`.
    """

    model: ModelDescription
    method: Method
    options: MethodOptions
    target_layer: Tap
    targets: tuple[Target, ...]
    axes: tuple[AxisOfBatch, ...]
    maps: np.ndarray[Any, np.dtype[Any]] = field(repr=False)
    images: tuple[str, ...]
    edits: tuple[str, ...]
    seed: int | None
    timings: Sequence[Timing]
    hit: bool
    tokens: tuple[tuple[Token, ...], ...] = ()

    @property
    def activations(self) -> Activations:
        """The maps as values of the target layer, to be encoded like activations."""
        maps = Activation(self.target_layer, self.maps, None, self.axes)
        return Activations(
            {self.target_layer.address: maps},
            self.images,
            self.model.warnings,
            self.edits,
            self.seed,
            self.timings,
            self.hit,
            self.tokens,
        )


@dataclass(frozen=True)
class Result:
    """The answer to a query.

    Attributes:
        model: the model that gave it.
        activations: the values of the layers, and of those that attributions are made of.
        attributions: the heat maps, by name of the method.
        refused_methods: why there is no attribution, where the model cannot have one, by name of the method.
        ablations: the sweep; None if the query has none.
        effect: of the edits; None if the query does not ask for it.
    """

    model: ModelDescription
    activations: Activations
    attributions: Mapping[str, Attribution] = field(default_factory=dict)
    refused_methods: Mapping[str, LayerscopeError] = field(default_factory=dict)
    ablations: Ablations | None = None
    effect: Effect | None = None

    def attribution(self, method: str) -> Attribution:
        """The heat maps of one method.

        Raises:
            LayerscopeError: the model cannot have them.
        """
        if method in self.refused_methods:
            raise self.refused_methods[method]
        return self.attributions[method]


@dataclass(frozen=True)
class ModelRecord:
    """One version of a model as the catalogue lists it. Plain data: it stays as it is when the version changes.

    Attributes:
        name: the model.
        version: its version.
        state: `ready` while it can be used.
        reason: why it failed, was unloaded to make room, or why a newer file of it is not served in its place.
        description: what is known of it while it is in memory.
    """

    name: str
    version: int
    state: State
    reason: str | None
    description: ModelDescription | None

    @classmethod
    def of(cls, entry: Entry[LoadedModel]) -> "ModelRecord":
        """The record of a registry's entry as it is now."""
        model, source = entry.model, entry.source
        description = None if model is None else model.description
        return cls(source.name, source.version, entry.state, entry.reason, description)


class Prepared(Protocol[Plan_co, Answer_co]):
    """A query or comparison whose models are leased: they cannot be replaced or unloaded between the plan and the run."""

    @property
    def plan(self) -> Plan_co:
        """What would be computed. Only for sizes that nothing but a run can tell, a blank image is run."""

    @property
    def is_long(self) -> bool:
        """Whether the runs may take longer than `Limits.short_milliseconds`, by an estimate or because nothing is known.

        Nothing runs for this. Long work waits in queues of its own.
        """

    def run(
        self,
        answer_bytes: int = 0,
        *,
        cancellation: CancellationToken | None = None,
        progress: Progress | None = None,
        partial: Partial | None = None,
        account: Account | None = None,
    ) -> AbstractContextManager[Answer_co]:
        """Compute the result. Its memory, the answer included, counts as taken until the context ends.

        Args:
            answer_bytes: the most memory that the caller takes to make the answer, besides the values.
            cancellation: ends the work early when it is cancelled.
            progress: is called from this thread after each batch of an attribution or a sweep that takes more than one run,
                and after each image of a comparison.
            partial: is called from this thread after each batch of a sweep.
            account: of the request that this is for; the memory counts in the share of its owner.

        Raises:
            AnswerTooLarge: it takes more memory than one request may, or than there is.
            MemoryBusy: other requests take the memory, and went on for too long.
            QuotaExceeded: those of the same key have its share of it, and went on for too long.
            DeadlineExceeded: the time is up, or the work was cancelled.
            LayerscopeError: whatever else is wrong with it.
        """


PreparedQuery = Prepared[QueryPlan, Result]
PreparedComparison = Prepared[ComparisonPlan, Comparison]


class Engine(Protocol):
    """What the service needs of an engine.

    All calls block, may be made from any thread, and raise `layerscope.errors.LayerscopeError` for everything a
    caller can cause.
    """

    limits: Limits
    memory: WorkingMemory

    @property
    def models(self) -> ModelChanges[LoadedModel]:
        """The changes of the set of models."""

    @property
    def is_ready(self) -> bool:
        """Whether every model that was asked for is loaded or has failed."""

    @property
    def is_stuck(self) -> bool:
        """Whether a run goes on in the process that serves for longer than `Limits.stuck_milliseconds`."""

    @property
    def ended_runs(self) -> int:
        """How many runs have ended with their process: they took too long, or it did not survive them."""

    def catalogue(self) -> Sequence[ModelRecord]:
        """Every version of every model, whatever its state."""

    def labels(self, name: str) -> dict[str, int]:
        """The labels of a model and the versions they point at."""

    def describe(self, reference: str) -> ModelDescription:
        """A loaded model."""

    def prepare(self, query: Query) -> AbstractContextManager[PreparedQuery]:
        """Lease the query's model, so that the plan holds until the run."""

    def prepare_comparison(self, query: ComparisonQuery) -> AbstractContextManager[PreparedComparison]:
        """Lease both models of a comparison."""

    def plan(self, query: Query, images: int = 1) -> QueryPlan:
        """What a query would compute. Nothing runs; without sources, it is planned for as many images."""

    def run(self, query: Query) -> Result:
        """The result of a query, for callers that need no memory for an answer."""

    def receptive_field(
        self, query: Query, unit: Mapping[str, int]
    ) -> tuple[ModelDescription, ReceptiveField]:
        """What a unit of the query's layer sees of the inputs; without sources, of inputs of the model's own size."""

    def watch(self, observer: Observer) -> None:
        """Add an observer of every run and of every model that is loaded."""

    def watched_layers(self) -> Sequence[WatchedLayer]:
        """The statistics of the layers that an operator watches, over the images that ran last."""

    def close(self) -> None:
        """Finish what is queued, and release all memory."""
