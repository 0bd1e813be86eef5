"""What watched layers are like, by the names under which Prometheus knows it.

Which layers these are only the configuration says: no request makes a label.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client.metrics_core import GaugeMetricFamily, Metric

if TYPE_CHECKING:
    from layerscope.execution.engine import Engine
    from layerscope.execution.watched_layers import WatchedLayer

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
