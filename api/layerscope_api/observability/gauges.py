"""Gauges that are read from the engine when metrics are collected: the state of models, and the watched layers."""

import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from layerscope import __version__

if TYPE_CHECKING:
    from layerscope.execution.interface import Engine
    from layerscope.execution.watched_layers import WatchedLayer

_MODEL = ("model", "version")


@dataclass(frozen=True, eq=False)
class EngineGauges:
    """The state of the engine at the moment when metrics are collected: its requests and runs, and the state of each model."""

    engine: "Engine"
    pending: Callable[[], int]
    pending_long: Callable[[], int]

    def describe(self) -> Iterable[Metric]:
        """Nothing: the registry calls this when the gauges are added, and the engine is read only for a collection."""
        return []

    def collect(self) -> Iterator[Metric]:
        """The gauges."""
        info = GaugeMetricFamily(
            "layerscope_info",
            "1, with the version and the replica that these figures are of",
            labels=("version", "replica"),
        )
        info.add_metric((__version__, socket.gethostname()), 1)
        yield info
        yield GaugeMetricFamily(
            "layerscope_pending_requests",
            "Requests being worked on or waiting, long ones not counted",
            self.pending(),
        )
        yield GaugeMetricFamily(
            "layerscope_pending_long_requests",
            "Long requests being worked on or waiting",
            self.pending_long(),
        )
        yield CounterMetricFamily(
            "layerscope_ended_runs",
            "Runs that ended with their process: they took too long, or it did not survive them",
            self.engine.ended_runs,
        )
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


_LAYER_GAUGES: Mapping[str, tuple[str, Callable[["WatchedLayer"], float]]] = {
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
class LayerGauges:
    """The gauges `layerscope_layer_…` of the layers that the operator watches."""

    engine: "Engine"

    def describe(self) -> Iterable[Metric]:
        """Nothing, as for `EngineGauges`."""
        return []

    def collect(self) -> Iterator[Metric]:
        """The gauges of those watched layers for which the model has run."""
        layers = self.engine.watched_layers()
        for name, (meaning, value) in _LAYER_GAUGES.items():
            family = GaugeMetricFamily(
                f"layerscope_layer_{name}", meaning, labels=("model", "version", "layer")
            )
            for layer in layers:
                family.add_metric((layer.model, str(layer.version), layer.address), value(layer))
            yield family
