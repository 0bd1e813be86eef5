"""The engine as its users see it: queries, results, and the protocol that every engine keeps."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

from layerscope.attribution import MethodOptions
from layerscope.errors import LayerscopeError
from layerscope.execution.admission import (
    Admission,
    QueryPlan,
)
from layerscope.execution.attributing import Attribution, AttributionQuery
from layerscope.execution.inputs import Sources
from layerscope.execution.observers import Observer
from layerscope.execution.watched_layers import WatchedLayer
from layerscope.graph.model import LoadedModel, ModelDescription
from layerscope.graph.receptive.field import ReceptiveField
from layerscope.limits import Limits
from layerscope.models.changes import ModelChanges
from layerscope.models.registry import Entry
from layerscope.tensors.activations import Activations


@dataclass(frozen=True, kw_only=True)
class Query:
    """What to run and what of it is wanted.

    Attributes:
        model: `name`, `name@version` or `name@label`.
        sources: images or tensors by input name.
        layers: selectors, see `layerscope.graph.taps.selectors`.
        is_wanted: tells whether somebody still waits for the answer; what nobody waits for does not run.
        admit: decides whether the answer is possible.
        methods: the options of each attribution that is wanted too, by name of its method.
        timeout: the seconds that the caller gives it, if they are fewer than `Limits.deadline_milliseconds`.
    """

    model: str
    sources: Sources
    layers: Sequence[str]
    methods: Mapping[str, MethodOptions] = field(default_factory=dict)
    is_wanted: Callable[[], bool] = lambda: True
    admit: Admission | None = None
    timeout: float | None = None


@dataclass(frozen=True)
class Result:
    """The answer to a query.

    Attributes:
        model: the model that gave it.
        activations: the values of the layers, and of those that attributions are made of.
        attributions: by name of the method.
        refusals: why there is no attribution, where the model cannot have one, by name of the method.
    """

    model: ModelDescription
    activations: Activations
    attributions: Mapping[str, Attribution] = field(default_factory=dict)
    refusals: Mapping[str, LayerscopeError] = field(default_factory=dict)


class Engine(Protocol):
    """What the service needs of an engine.

    All calls block, may be made from any thread, and raise `layerscope.errors.LayerscopeError` for everything a
    caller can cause.
    """

    limits: Limits

    @property
    def models(self) -> ModelChanges[LoadedModel]:
        """Changes which models are in memory."""

    @property
    def is_ready(self) -> bool:
        """Whether every model that was asked for is loaded or has failed."""

    def catalogue(self) -> Sequence[Entry[LoadedModel]]:
        """Every version of every model, whatever its state."""

    def labels(self, name: str) -> dict[str, int]:
        """The labels of a model and the versions they point at."""

    def describe(self, reference: str) -> ModelDescription:
        """A loaded model."""

    def plan(self, query: Query, images: int = 1) -> QueryPlan:
        """What a query would compute, without running it; without sources, for as many images."""

    def receptive_field(
        self, query: Query, unit: Mapping[str, int]
    ) -> tuple[ModelDescription, ReceptiveField]:
        """What a unit of the query's layer sees of the inputs; without sources, of inputs of the model's own size."""

    def admitted(self, query: Query) -> AbstractContextManager[Result]:
        """The activations that a query asks for. Their memory counts as taken until the context ends."""

    def run(self, query: Query) -> Result:
        """The same, for whoever is not bound by the memory that all requests share."""

    def attribute(self, query: AttributionQuery) -> Attribution:
        """Where in images the reasons for an output lie."""

    def watch(self, observer: Observer) -> None:
        """Tell somebody, besides those who are told already, of every run and every model that is loaded."""

    def watched_layers(self) -> Sequence[WatchedLayer]:
        """What the layers that an operator watches were like for the images that were run last."""

    def close(self) -> None:
        """End what runs and give back all memory."""
