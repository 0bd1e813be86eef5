"""Whoever watches an engine is told what it does, as it does it."""

from collections.abc import Callable
from typing import Protocol
from weakref import WeakKeyDictionary

from layerscope.graph.model import LoadedModel
from layerscope.graph.runtime.executable import Executable
from layerscope.models.directory import ModelSource


class Observer(Protocol):
    """Is told from the threads that do the work, and must return at once."""

    def ran(self, name: str, version: int, rows: int, seconds: float) -> None:
        """A version of a model was run.

        Args:
            name: the model.
            version: its version.
            rows: how many images were run together.
            seconds: how long that took.
        """

    def loaded(self, name: str, version: int, *, failed: bool) -> None:
        """A version of a model was loaded, or could not be."""


class Observers:
    """Those who watch, and the models by which they know what runs."""

    def __init__(self) -> None:
        self._observers: list[Observer] = []
        self._sources: WeakKeyDictionary[Executable, ModelSource] = WeakKeyDictionary()

    def add(self, observer: Observer) -> None:
        """Tell one more."""
        self._observers.append(observer)

    def load(self, source: ModelSource, load: Callable[[], LoadedModel]) -> LoadedModel:
        """Load a model, and tell how that went."""
        failed = True
        try:
            model = load()
            self._sources[model.executable] = source
            failed = False
        finally:
            for observer in self._observers:
                observer.loaded(source.name, source.version, failed=failed)
        return model

    def ran(self, executable: Executable, rows: int, seconds: float) -> None:
        """Tell of a run."""
        source = self._sources[executable]
        for observer in self._observers:
            observer.ran(source.name, source.version, rows, seconds)
