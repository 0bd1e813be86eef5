"""What is measured, by the names under which Prometheus knows it.

Labels are models, versions, codes and reasons: never a file, a key or a layer, of which there can be any number, but for
the layers that an operator names (`layer_metrics`). Those of a model that is removed go with it. The statistics of the Open
Inference Protocol are read from the same figures.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from layerscope.errors import LayerscopeError
from layerscope.tensors.timing import seconds_by_stage
from layerscope_api.observability.request_metrics import RequestMetrics

if TYPE_CHECKING:
    from layerscope.execution.interface import Engine
    from layerscope.execution.watched_layers import WatchedLayer
    from layerscope.tensors.activations import Activations

_MODEL = ("model", "version")
_NO_MODEL = ("", "")
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_ROWS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64)


class MetricsSource(Protocol):
    """What the Prometheus exposition reads: the metrics of this process, or those of all processes of the service."""

    def collect(self) -> Iterable[Metric]:
        """All metrics with their current values."""


class Metrics:
    """The figures of one application."""

    def __init__(self) -> None:
        self._engine: Engine | None = None
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._requests = Counter(
            "layerscope_requests", "Requests by status", (*_MODEL, "code"), registry=registry
        )
        self._rejected = Counter(
            "layerscope_rejected", "Requests answered by an error, by its code", ["reason"], registry=registry
        )
        self._seconds = Histogram(
            "layerscope_request_seconds", "Time to answer", _MODEL, registry=registry, buckets=_SECONDS
        )
        self._stages = Histogram(
            "layerscope_stage_seconds",
            "Time of an answer by stage: queue, decode, run, watch, encode",
            (*_MODEL, "stage"),
            registry=registry,
            buckets=_SECONDS,
        )
        self._answered = Gauge(
            "layerscope_last_answer_timestamp_seconds",
            "When a model answered last",
            _MODEL,
            registry=registry,
        )
        self._inferences = Counter(
            "layerscope_inferences", "Images that were answered for", _MODEL, registry=registry
        )
        self._executions = Counter("layerscope_executions", "Runs of a model", _MODEL, registry=registry)
        self._batches = Histogram(
            "layerscope_batch_rows", "Images run together", _MODEL, registry=registry, buckets=_ROWS
        )
        self._run_seconds = Counter(
            "layerscope_execution_seconds", "Time in which a model ran", _MODEL, registry=registry
        )
        self._hits = Counter("layerscope_cache_hits", "Answers that took no run", _MODEL, registry=registry)
        self._misses = Counter("layerscope_cache_misses", "Answers that took one", _MODEL, registry=registry)
        self._bytes = Counter("layerscope_response_bytes", "Bytes of answers", _MODEL, registry=registry)
        self._loads = Counter(
            "layerscope_model_loads", "Loads of a model", (*_MODEL, "outcome"), registry=registry
        )
        self._of_models: tuple[Counter | Gauge | Histogram, ...] = (
            self._requests,
            self._seconds,
            self._stages,
            self._answered,
            self._inferences,
            self._executions,
            self._batches,
            self._run_seconds,
            self._hits,
            self._misses,
            self._bytes,
            self._loads,
        )

    def served(self, request_metrics: RequestMetrics, status: int, seconds: float, size: int) -> None:
        """A request was answered."""
        model = request_metrics.model or self._known(request_metrics.reference)
        self._requests.labels(*model, str(status)).inc()
        if request_metrics.reason is not None:
            self._rejected.labels(request_metrics.reason).inc()
        found = request_metrics.activations
        if found is None:
            return
        self._seconds.labels(*model).observe(seconds)
        for stage, taken in seconds_by_stage(request_metrics.timings).items():
            self._stages.labels(*model, stage).observe(taken)
        self._answered.labels(*model).set_to_current_time()
        self._inferences.labels(*model).inc(_images(found))
        # Both, so that there is a share from the first answer on.
        hits, misses = self._hits.labels(*model), self._misses.labels(*model)
        (hits if found.hit else misses).inc()
        self._bytes.labels(*model).inc(size)

    def ran(self, name: str, version: int, rows: int, seconds: float) -> None:
        """A version of a model was run: see `Observer`."""
        model = name, str(version)
        self._executions.labels(*model).inc()
        self._batches.labels(*model).observe(rows)
        self._run_seconds.labels(*model).inc(seconds)

    def loaded(self, name: str, version: int, *, failed: bool) -> None:
        """A version of a model was loaded, or could not be: see `Observer`."""
        self._loads.labels(name, str(version), "failed" if failed else "ready").inc()

    def watch(self, engine: "Engine", pending: Callable[[], int]) -> None:
        """Tell of an engine what it is like when somebody looks, and count what it does."""
        engine.watch(self)
        self._engine = engine
        self.registry.register(_Looked(engine, pending))
        self.registry.register(LayerMetrics(engine))

    def collect(self) -> Iterable[Metric]:
        """All figures as they are now, of the models that there are."""
        self._forget_removed()
        return self.registry.collect()

    def samples(self) -> "Samples":
        """All figures as they are now, of the models that there are."""
        return Samples(
            {
                (sample.name, frozenset(sample.labels.items())): sample.value
                for metric in self.collect()
                for sample in metric.samples
            }
        )

    def _forget_removed(self) -> None:
        """Models come and go: without this, the figures would only become more."""
        if self._engine is None:
            return
        known = {(each.name, str(each.version)) for each in self._engine.catalogue()}
        counted = {
            (sample.labels["model"], sample.labels["version"])
            for metric in (self._loads, self._requests)
            for family in metric.collect()
            for sample in family.samples
        }
        for name, version in counted - known - {_NO_MODEL}:
            for metric in self._of_models:
                metric.remove_by_labels({"model": name, "version": version})

    def _known(self, reference: str) -> tuple[str, str]:
        """The labels of a model that did not answer; empty if there is none, for anything may be asked for."""
        if self._engine is None or not reference:
            return _NO_MODEL
        try:
            model = self._engine.describe(reference)
        except LayerscopeError:
            return _NO_MODEL
        return model.name, str(model.version)


@dataclass(frozen=True)
class Samples:
    """Figures by name and labels."""

    values: Mapping[tuple[str, frozenset[tuple[str, str]]], float]

    def value(self, name: str, **labels: str) -> float:
        """One figure; 0 where nothing was counted yet."""
        return self.values.get((name, frozenset(labels.items())), 0.0)

    def total(self, name: str, **labels: str) -> float:
        """The sum of all figures of a name that have these labels among others."""
        wanted = frozenset(labels.items())
        return sum(
            value for (found, others), value in self.values.items() if found == name and wanted <= others
        )


@dataclass(frozen=True, eq=False)
class _Looked:
    """What is as it is when somebody looks."""

    engine: "Engine"
    pending: Callable[[], int]

    def describe(self) -> Iterable[Metric]:
        """Nothing: the engine is not asked before somebody looks."""
        return []

    def collect(self) -> Iterator[Metric]:
        """The figures."""
        pending = GaugeMetricFamily(
            "layerscope_pending_requests", "Requests being worked on or waiting", self.pending()
        )
        yield pending
        memory = GaugeMetricFamily(
            "layerscope_model_memory_bytes", "Bytes of a model's weights", labels=_MODEL
        )
        state = GaugeMetricFamily(
            "layerscope_model_state", "1 for the state a model is in", labels=(*_MODEL, "state")
        )
        for record in self.engine.catalogue():
            model = record.name, str(record.version)
            state.add_metric((*model, record.state), 1)
            if (loaded := record.description) is not None:
                memory.add_metric(model, loaded.memory_bytes)
        yield memory
        yield state


def _images(found: "Activations") -> int:
    """How many rows they are of: the values have one each."""
    first = next(iter(found.values()), None)
    return 0 if first is None else len(first.values)


_FIGURES: Mapping[str, tuple[str, Callable[["WatchedLayer"], float]]] = {
    "mean": ("Mean of a layer's finite values over its last images", lambda layer: layer.mean),
    "fraction_zero": ("Share of a layer's finite values that are zero", lambda layer: layer.fraction_zero),
    "nonfinite": ("Values of a layer that are NaN or infinite", lambda layer: layer.nonfinite),
    "dead_channels": (
        "Channels of a layer that were zero in all of its last images",
        lambda layer: layer.dead,
    ),
    "channels": ("Channels of a layer", lambda layer: layer.channels),
    "images": ("The last images, over which the other figures of a layer are", lambda layer: layer.images),
}


@dataclass(frozen=True, eq=False)
class LayerMetrics:
    """The gauges `layerscope_layer_…` of the layers that an operator watches."""

    engine: "Engine"

    def describe(self) -> Iterable[Metric]:
        """Nothing: the engine is not asked before somebody looks."""
        return []

    def collect(self) -> Iterator[Metric]:
        """The figures of those layers that anything was run for."""
        layers = self.engine.watched_layers()
        for name, (meaning, figure) in _FIGURES.items():
            family = GaugeMetricFamily(
                f"layerscope_layer_{name}", meaning, labels=("model", "version", "layer")
            )
            for layer in layers:
                family.add_metric((layer.model, str(layer.version), layer.address), figure(layer))
            yield family
