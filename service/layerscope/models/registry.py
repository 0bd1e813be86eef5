"""Which models there are, in which versions, in which state, and who is using them."""

import gc
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Generic, Literal, Protocol, TypeVar

from layerscope.errors import LayerscopeError, ModelLoading, ModelNotFound, ModelNotLoaded
from layerscope.models.directory import ModelSource

logger = logging.getLogger(__name__)

State = Literal["loading", "ready", "failed", "unloading"]


class Loaded(Protocol):
    """What the registry must be able to do with a loaded model."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Names that the model's declaration wants to point at it."""

    def close(self) -> None:
        """Give back all memory."""


Model = TypeVar("Model", bound=Loaded)


@dataclass
class Entry(Generic[Model]):
    """One version of a model. `model` is there while it is ready, `reason` when it failed."""

    source: ModelSource
    state: State = "loading"
    model: Model | None = None
    reason: str | None = None
    leases: int = field(default=0, repr=False)


class Registry(Generic[Model]):
    """Models by name and version, and the labels that point at versions. Safe to use from many threads.

    Args:
        load: makes a model from its source.
    """

    def __init__(self, load: Callable[[ModelSource], Model]) -> None:
        self._load = load
        self._entries: dict[str, dict[int, Entry[Model]]] = {}
        self._labels: dict[str, dict[str, int]] = {}
        self._changed = threading.Condition()

    def announce(self, source: ModelSource) -> None:
        """List a model as `loading`, so that requests for it are told to wait."""
        with self._changed:
            self._entries.setdefault(source.name, {})[source.version] = Entry(source)

    def load(self, source: ModelSource) -> Entry[Model]:
        """Load a model. One that cannot be loaded is listed as `failed` with the reason; the others are untouched.

        What was there under that name and version must have been unloaded before.
        """
        self.announce(source)
        model, reason = self._try(source)
        with self._changed:
            entry = self._entries[source.name][source.version]
            entry.model, entry.reason = model, reason
            entry.state = "failed" if model is None else "ready"
            for label in model.labels if model else ():
                self._labels.setdefault(source.name, {})[label] = source.version
        return entry

    def unload(self, reference: str) -> None:
        """Remove a version, after the last request that uses it.

        Raises:
            ModelNotFound: there is no such model.
            ModelLoading: it is still being loaded, or is being unloaded already.
        """
        with self._changed:
            entry = self._find(reference)
            if entry.state not in {"ready", "failed"}:
                raise ModelLoading(
                    f"Model {reference!r} is {entry.state}: try again in a moment.", model=reference
                )
            entry.state = "unloading"
            self._changed.wait_for(lambda: entry.leases == 0)
            name, version = entry.source.name, entry.source.version
            del self._entries[name][version]
            labels = self._labels.get(name, {})
            self._labels[name] = {label: other for label, other in labels.items() if other != version}
            if not self._entries[name]:
                del self._entries[name]
        if entry.model is not None:
            entry.model.close()
            entry.model = None
            # A description is full of cycles.
            gc.collect()

    @contextmanager
    def lease(self, reference: str) -> Iterator[Model]:
        """Use a model; it stays in memory until the lease ends.

        Args:
            reference: `name`, `name@3` (version) or `name@stable` (label).

        Raises:
            ModelNotFound: no model, version or label of that name.
            ModelLoading: it is still being loaded.
            ModelNotLoaded: it failed to load, or is being unloaded.
        """
        with self._changed:
            entry = self._find(reference)
            model = _ready(entry, reference)
            entry.leases += 1
        try:
            yield model
        finally:
            with self._changed:
                entry.leases -= 1
                self._changed.notify_all()

    def find(self, reference: str) -> Entry[Model]:
        """The entry that a reference means, whatever its state.

        Raises:
            ModelNotFound: no model, version or label of that name.
        """
        with self._changed:
            return self._find(reference)

    def entries(self) -> list[Entry[Model]]:
        """Every version of every model, by name and version."""
        with self._changed:
            return [
                versions[number]
                for _, versions in sorted(self._entries.items())
                for number in sorted(versions)
            ]

    def labels(self, name: str) -> dict[str, int]:
        """The labels of a model and the versions they point at."""
        with self._changed:
            return dict(self._labels.get(name, {}))

    def _try(self, source: ModelSource) -> tuple[Model | None, str | None]:
        try:
            return self._load(source), None
        except LayerscopeError as error:
            logger.warning("%s@%d is not served: %s", source.name, source.version, error.message)
            return None, error.message
        except Exception:
            logger.exception("%s@%d is not served", source.name, source.version)
            return None, "The model could not be loaded, for a reason nobody foresaw: see the log."

    def _find(self, reference: str) -> Entry[Model]:
        name, _, suffix = reference.partition("@")
        versions = self._entries.get(name)
        if not versions:
            raise ModelNotFound(
                f"There is no model {reference[:80]!r}.", model=reference[:80], models=sorted(self._entries)
            )
        number = self._version(name, suffix, versions)
        if number not in versions:
            raise ModelNotFound(
                f"Model {name!r} has no version or label {suffix[:80]!r}.",
                model=name,
                versions=sorted(versions),
                labels=sorted(self._labels.get(name, {})),
            )
        return versions[number]

    def _version(self, name: str, suffix: str, versions: dict[int, Entry[Model]]) -> int | None:
        """Without a suffix: the label `default`, else the highest version that is ready, else the highest."""
        labels = self._labels.get(name, {})
        if suffix:
            is_number = suffix.isascii() and suffix.isdigit() and len(suffix) < 10
            return labels.get(suffix, int(suffix) if is_number else None)
        ready = [number for number, entry in versions.items() if entry.state == "ready"]
        return labels.get("default", max(ready or versions))


def _ready(entry: Entry[Model], reference: str) -> Model:
    if entry.state == "loading":
        raise ModelLoading(
            f"Model {reference!r} is still being loaded: try again in a moment.", model=reference
        )
    if entry.model is None or entry.state != "ready":
        why = f": {entry.reason}" if entry.reason else "."
        raise ModelNotLoaded(f"Model {reference!r} is not loaded{why}", model=reference, state=entry.state)
    return entry.model
