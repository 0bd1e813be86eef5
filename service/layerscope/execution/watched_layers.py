"""Layers that an operator watches: what they were like for the images that were run last, whatever was asked of those."""

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
    """What is watched.

    Attributes:
        layers: each `model:selector`; the model is a name, `name@version`, or `*` for all.
        images: how many of the images that were run last are looked at.
        most_layers: how many of one version are watched at most.
    """

    layers: tuple[str, ...] = ()
    images: int = 256
    most_layers: int = 32

    def selectors(self, source: ModelSource) -> list[str]:
        """Those of the layers that are watched of a version."""
        return [selector for model, selector in self._pairs() if model in _names(source)]

    def strangers(self, sources: Iterable[ModelSource]) -> list[str]:
        """The models that are to be watched and that are none of `sources`."""
        known = {name for source in sources for name in _names(source)} | {EVERY}
        return [model for model, _ in self._pairs() if model not in known]

    def _pairs(self) -> list[tuple[str, str]]:
        return [(model, selector) for model, _, selector in (each.partition(":") for each in self.layers)]


@dataclass(frozen=True, kw_only=True)
class WatchedLayer:
    """What a layer was like for the images that were run last.

    Attributes:
        model: the name of the model.
        version: its version.
        address: the layer.
        images: how many images these are.
        mean: of all finite values; NaN without any.
        fraction_zero: the share of finite values that are zero; NaN without any.
        nonfinite: how many values are NaN or infinite.
        channels: how many channels there are.
        dead: how many of them were zero everywhere in every image.
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
    """The layers that are watched of every model in memory. Safe to use from many threads.

    What is known of a version goes with it: one that is loaded anew begins anew.
    """

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._windows: WeakKeyDictionary[Executable, dict[Tap, _Window]] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def chosen(self, source: ModelSource, taps: TapIndex) -> tuple[Tap, ...]:
        """What is watched of a version that is being loaded. What cannot be is said in the log, and fails nothing."""
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

    def tell_strangers(self, sources: Iterable[ModelSource]) -> None:
        """Say in the log which models are to be watched, but are not there."""
        for model in self._watch.strangers(sources):
            logger.warning("No layer of %r is watched: there is no such model", model)

    def saw(self, model: LoadedModel, arrays: Mapping[Tap, Array]) -> None:
        """Look at the values of watched layers, each (images, *shape)."""
        totals = {tap: totals_of(Activation.of(tap, values)) for tap, values in arrays.items()}
        with self._lock:
            windows = self._windows_of(model)
            for tap, of_images in totals.items():
                for each in of_images:
                    windows[tap].add(each)

    def figures(self, model: LoadedModel) -> list[WatchedLayer]:
        """What the watched layers of a version are like; none of those that nothing was run for yet."""
        described = model.description
        with self._lock:
            return [
                window.figures(described.name, described.version, tap.address)
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
    """The last images of one layer. It takes no more than a few numbers an image, and one a channel."""

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

    def figures(self, model: str, version: int, address: str) -> WatchedLayer:
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
