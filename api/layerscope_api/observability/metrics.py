"""The metrics of the service, as Prometheus reads them.

The labels are models, versions, status codes and error codes, but never files, keys or arbitrary layers: each value of a
label is a time series, and their number must stay small. Layers are labels only if the operator names them (`gauges`). The
series of a model that is removed are removed with it. The statistics of the Open Inference Protocol come from the same
metrics.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.metrics_core import Metric

from layerscope.errors import LayerscopeError
from layerscope.tensors.timing import seconds_by_stage
from layerscope_api.observability.gauges import EngineGauges, LayerGauges
from layerscope_api.observability.request_metrics import RequestMetrics

if TYPE_CHECKING:
    from layerscope.execution.interface import Engine

_MODEL = ("model", "version")
_NO_MODEL = ("", "")
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_ROWS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64)


class MetricsSource(Protocol):
    """What the Prometheus exposition reads: the metrics of this process, or those of all processes of the service."""

    def collect(self) -> Iterable[Metric]:
        """All metrics with their current values."""


class Metrics:
    """The metrics of one application."""

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
        """Count a request that was answered."""
        model = request_metrics.model or self._known(request_metrics.reference)
        self._requests.labels(*model, str(status)).inc()
        if request_metrics.reason is not None:
            self._rejected.labels(request_metrics.reason).inc()
        found = request_metrics.answer
        if found is None:
            return
        self._seconds.labels(*model).observe(seconds)
        for stage, taken in seconds_by_stage(request_metrics.timings).items():
            self._stages.labels(*model, stage).observe(taken)
        self._answered.labels(*model).set_to_current_time()
        self._inferences.labels(*model).inc(found.rows)
        # Creating both series with the first answer lets a dashboard compute the ratio from then on.
        hits, misses = self._hits.labels(*model), self._misses.labels(*model)
        (hits if found.hit else misses).inc()
        self._bytes.labels(*model).inc(size)

    def ran(self, name: str, version: int, rows: int, seconds: float) -> None:
        """Count a run of a version of a model: see `Observer`."""
        model = name, str(version)
        self._executions.labels(*model).inc()
        self._batches.labels(*model).observe(rows)
        self._run_seconds.labels(*model).inc(seconds)

    def loaded(self, name: str, version: int, *, failed: bool) -> None:
        """Count a load of a version of a model, or a failed one: see `Observer`."""
        self._loads.labels(name, str(version), "failed" if failed else "ready").inc()

    def watch(self, engine: "Engine", pending: Callable[[], int], pending_long: Callable[[], int]) -> None:
        """Observe an engine: count its runs and loads, and read its state whenever the metrics are collected.

        Args:
            engine: the engine of the application.
            pending: gives the number of requests that are worked on or wait, long ones not counted.
            pending_long: gives that of long requests.
        """
        engine.watch(self)
        self._engine = engine
        self.registry.register(EngineGauges(engine, pending, pending_long))
        self.registry.register(LayerGauges(engine))

    def collect(self) -> Iterable[Metric]:
        """All metrics with their current values, without those of removed models."""
        self._forget_removed()
        return self.registry.collect()

    def _forget_removed(self) -> None:
        """Remove the series of models that no longer exist; otherwise their number would grow without end."""
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
        """The labels of a request that no model answered. They are empty for unknown models, whose names any client can make up."""
        if self._engine is None or not reference:
            return _NO_MODEL
        try:
            model = self._engine.describe(reference)
        except LayerscopeError:
            return _NO_MODEL
        return model.name, str(model.version)
