"""Observers of an engine, such as metrics: they are called for every run and for every model that is loaded."""

from collections.abc import Callable
from typing import Protocol
from weakref import WeakKeyDictionary

from layerscope.graph.model import LoadedModel
from layerscope.graph.runtime.executable import Executable
from layerscope.models.directory import ModelSource


class Observer(Protocol):
    """Called from the threads that do the work; it must return at once."""

    def ran(self, name: str, version: int, rows: int, seconds: float) -> None:
        """A version of a model was run.

        Args:
            name: the model.
            version: its version.
            rows: the number of images in the batch.
            seconds: the time that the run took.
        """

    def loaded(self, name: str, version: int, *, failed: bool) -> None:
        """A version of a model was loaded, or failed to load."""


class Observers:
    """All observers of an engine, and the names of the models whose executables run."""

    def __init__(self) -> None:
        self._observers: list[Observer] = []
        self._sources: WeakKeyDictionary[Executable, ModelSource] = WeakKeyDictionary()

    def add(self, observer: Observer) -> None:
        """Add an observer."""
        self._observers.append(observer)

    def load(self, source: ModelSource, load: Callable[[], LoadedModel]) -> LoadedModel:
        """Load a model, and report the load or the failure."""
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
        """Report a run."""
        source = self._sources[executable]
        for observer in self._observers:
            observer.ran(source.name, source.version, rows, seconds)
