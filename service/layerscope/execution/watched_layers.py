"""Watched layers: statistics of layers that an operator names, over the images that ran last."""

import logging
import threading
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from layerscope.errors import LayerscopeError
from layerscope.graph.model import LoadedModel
from layerscope.graph.taps.selectors import TapIndex, split_selectors
from layerscope.graph.taps.tap import Tap
from layerscope.models.control import EVERY
from layerscope.models.directory import ModelSource
from layerscope.tensors.activations import Activation
from layerscope.tensors.totals import Totals, totals_of

if TYPE_CHECKING:
    from layerscope.graph.runtime.executable import Executable

logger = logging.getLogger(__name__)

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, kw_only=True)
class Watch:
    """Which layers are watched.

    Attributes:
        layers: each `model:selector`; the model is a name, `name@version`, or `*` for all.
        images: the size of the window: the statistics are of so many images that ran last.
        most_layers: the most layers of one version.
    """

    layers: tuple[str, ...] = ()
    images: int = 256
    most_layers: int = 32

    def selectors(self, source: ModelSource) -> list[str]:
        """The selectors of the layers that are watched in a version."""
        return [selector for model, selector in self._pairs() if model in _names(source)]

    def unknown_models(self, sources: Iterable[ModelSource]) -> list[str]:
        """The models with watched layers that are none of `sources`."""
        known = {name for source in sources for name in _names(source)} | {EVERY}
        return [model for model, _ in self._pairs() if model not in known]

    def _pairs(self) -> list[tuple[str, str]]:
        return [(model, selector) for model, _, selector in (each.partition(":") for each in self.layers)]


@dataclass(frozen=True, kw_only=True)
class WatchedLayer:
    """Statistics of a layer over the images that ran last.

    Attributes:
        model: the name of the model.
        version: its version.
        address: the layer.
        images: the number of these images.
        mean: of all finite values; NaN if there are none.
        fraction_zero: the share of finite values that are zero, 0 to 1; NaN if there are none.
        nonfinite: how many values are NaN or infinite.
        channels: the number of channels.
        dead: how many channels were zero everywhere in all of these images.
    """

    model: str
    version: int
    address: str
    images: int
    mean: float
    fraction_zero: float
    nonfinite: int
    channels: int
    dead: int


class WatchedLayers:
    """The watched layers of all models in memory. Safe to use from many threads.

    Statistics end with the version in memory: one that is loaded again begins with none.
    """

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._windows: WeakKeyDictionary[Executable, dict[Tap, _Window]] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def select(self, source: ModelSource, taps: TapIndex) -> tuple[Tap, ...]:
        """The watched taps of a version that is being loaded. A selector that fails is logged, and the load goes on."""
        found: dict[Tap, None] = {}
        for selector in split_selectors(self._watch.selectors(source)):
            try:
                found.update(dict.fromkeys(taps.select([selector])))
            except LayerscopeError as error:
                logger.warning(
                    "%s@%d: %r is not watched: %s", source.name, source.version, selector, error.message
                )
        most = self._watch.most_layers
        if len(found) > most:
            logger.warning(
                "%s@%d: the first %d of %d layers are watched: see the limit watched_layers",
                *(source.name, source.version, most, len(found)),
            )
        return tuple(found)[:most]

    def log_unknown_models(self, sources: Iterable[ModelSource]) -> None:
        """Log a warning for each model with watched layers that does not exist."""
        for model in self._watch.unknown_models(sources):
            logger.warning("No layer of %r is watched: there is no such model", model)

    def observe(self, model: LoadedModel, arrays: Mapping[Tap, Array]) -> None:
        """Add images to the statistics: values of watched layers, each (images, *shape)."""
        totals = {tap: totals_of(Activation.of(tap, values)) for tap, values in arrays.items()}
        with self._lock:
            windows = self._windows_of(model)
            for tap, of_images in totals.items():
                for each in of_images:
                    windows[tap].add(each)

    def statistics(self, model: LoadedModel) -> list[WatchedLayer]:
        """The statistics of a version's watched layers, without those that no image has run for yet."""
        described = model.description
        with self._lock:
            return [
                window.statistics(described.name, described.version, tap.address)
                for tap, window in self._windows_of(model).items()
                if window.totals
            ]

    def _windows_of(self, model: LoadedModel) -> dict[Tap, "_Window"]:
        windows = self._windows.get(model.executable)
        if windows is None:
            windows = self._windows[model.executable] = {
                tap: _Window(self._watch.images) for tap in model.watched
            }
        return windows


class _Window:
    """The last images of one layer: a few sums of each image, and for each channel the last image that it was active in.

    So a window takes a few kilobytes, however large the layer is, and a channel can die and come back.
    """

    def __init__(self, images: int) -> None:
        self.totals: deque[tuple[int, float, int, int]] = deque(maxlen=images)
        self._seen = 0
        self._last_active = np.zeros(0, np.int64)

    def add(self, totals: Totals) -> None:
        if len(self._last_active) != len(totals.active):
            self._last_active = np.zeros(len(totals.active), np.int64)
        self._seen += 1
        self._last_active[totals.active] = self._seen
        self.totals.append((totals.finite, totals.total, totals.zeros, totals.nonfinite))

    def statistics(self, model: str, version: int, address: str) -> WatchedLayer:
        images = len(self.totals)
        finite, total, zeros, nonfinite = (sum(column) for column in zip(*self.totals, strict=True))
        return WatchedLayer(
            model=model,
            version=version,
            address=address,
            images=images,
            mean=total / finite if finite else np.nan,
            fraction_zero=zeros / finite if finite else np.nan,
            nonfinite=int(nonfinite),
            channels=len(self._last_active),
            dead=int(np.count_nonzero(self._last_active <= self._seen - images)),
        )


def _names(source: ModelSource) -> set[str]:
    return {EVERY, source.name, f"{source.name}@{source.version}"}
