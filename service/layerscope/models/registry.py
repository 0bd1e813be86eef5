"""The registry of models: every version with its state, and a lease for each request that uses one.

A request holds a *lease* on the model it found, for as long as it runs. To replace a version, the new model is loaded beside
the old one and takes its place in the list under the lock; requests that begin afterwards find the new one. The old model is
closed by the last lease that ends. So no request waits for a change, none sees half of one, and no model is closed in use.
The price is that both are in memory for a moment.
"""

import gc
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Generic, Literal

from layerscope.errors import (
    LayerscopeError,
    ModelLoading,
    ModelNotFound,
    ModelNotLoaded,
    ModelRefused,
)
from layerscope.models.directory import Key, ModelSource
from layerscope.models.entry import Entry, Model
from layerscope.models.memory_budget import MemoryBudget

logger = logging.getLogger(__name__)


Assigned = Mapping[str, int | None]
"""The version that each label was assigned to; None for a label that was deleted."""


def nothing_assigned(_name: str) -> Assigned:
    """The labels of a model that has only those of its declaration."""
    return {}


class Registry(Generic[Model]):
    """Models by name and version, and the labels that point at loaded versions. Safe to use from many threads.

    Args:
        load: makes a model from its source.
        assigned: the labels that were assigned to versions of a model; they override those of declarations. It is asked
            when a version is loaded; see also `relabel`.
        most_bytes: the memory that all loaded models may take together; the least recently used make way.
    """

    def __init__(
        self,
        load: Callable[[ModelSource], Model],
        assigned: Callable[[str], Assigned] = nothing_assigned,
        most_bytes: int | None = None,
    ) -> None:
        self._load = load
        self._assigned_to = assigned
        self._assigned: dict[str, Assigned] = {}
        self._memory = MemoryBudget(most_bytes)
        self._entries: dict[str, dict[int, Entry[Model]]] = {}
        self._labels: dict[str, dict[str, int]] = {}
        self._changed = threading.RLock()

    def announce(self, source: ModelSource, state: Literal["loading", "unloaded"] = "loading") -> None:
        """List a model that is not in memory: requests for it fail with `ModelLoading` or `ModelNotLoaded`."""
        with self._changed:
            self._entries.setdefault(source.name, {})[source.version] = Entry(source, state)

    def load(self, source: ModelSource) -> Entry[Model]:
        """Load a version. If it is ready already, it serves until the new one is, and finishes its requests.

        Returns:
            The new entry. A model that cannot be loaded is listed as `failed` with the cause. If it was to replace one that
            is ready, the old one stays in the list, with the cause noted. Other versions are untouched.
        """
        with self._changed:
            before = self._entries.get(source.name, {}).get(source.version)
            if before is None or before.state != "ready":
                self.announce(source)
        model, cause = self._try(source)
        entry = Entry(source, "failed" if model is None else "ready", model, cause)
        with self._changed:
            versions = self._entries.setdefault(source.name, {})
            before = versions.get(source.version)
            if model is None and before is not None and before.state == "ready":
                before.cause = cause
                return entry
            versions[source.version] = entry
            self._assigned[source.name] = self._assigned_to(source.name)
            leaving = [] if before is None else [before]
            leaving += self._memory.making_way(entry, self.entries())
            self._retire(leaving)
            self._point_labels(source.name)
        self._close_unused(leaving)
        return entry

    def refuse(self, source: ModelSource, cause: LayerscopeError) -> None:
        """List a version as `failed` with a cause; one that is ready stays ready, with the cause noted."""
        with self._changed:
            before = self._entries.get(source.name, {}).get(source.version)
            if before is None or before.state != "ready":
                self._entries.setdefault(source.name, {})[source.version] = Entry(source, "failed")
            self._entries[source.name][source.version].cause = cause

    def withdraw_refusal(self, key: Key) -> None:
        """Undo `refuse`: a version that was listed only because of it is listed no more."""
        name, version = key
        with self._changed:
            before = self._entries.get(name, {}).get(version)
            if before is not None and before.state == "ready":
                before.cause = None
            elif before is not None and before.state == "failed":
                self._unlist([before])

    def unload(self, reference: str) -> Entry[Model]:
        """Take a version out of memory: now, or when the last request that uses it has ended.

        Raises:
            ModelNotFound: there is no such model.
            ModelLoading: it is still being loaded.
        """
        with self._changed:
            entry = self._find(reference)
            _require_loaded(entry, reference)
            entry.cause = None
            self._retire([entry])
        self._close_unused([entry])
        return entry

    def remove(self, key: Key) -> None:
        """Take a version off the list, and unload it. Nothing happens if it is not listed."""
        name, version = key
        with self._changed:
            entry = self._entries.get(name, {}).get(version)
            removed = self._unlist([] if entry is None else [entry])
        self._close_unused(removed)

    def clear(self) -> None:
        """Remove every model except those that are being loaded."""
        with self._changed:
            removed = self._unlist([each for each in self.entries() if each.state != "loading"])
        self._close_unused(removed)

    @contextmanager
    def lease(self, reference: str) -> Iterator[Model]:
        """Use a model; it stays in memory until the lease ends.

        Args:
            reference: `name`, `name@3` (version) or `name@stable` (label).

        Raises:
            ModelNotFound: no model, version or label of that name.
            ModelLoading: it is still being loaded.
            ModelNotLoaded: it failed to load, or is not in memory.
        """
        with self._changed:
            entry = self._find(reference)
            model = _ready(entry, reference)
            entry.leases += 1
            entry.used = time.monotonic()
        try:
            yield model
        finally:
            with self._changed:
                entry.leases -= 1
            self._close_unused([entry])

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

    def assigned(self, name: str) -> Assigned:
        """The versions that the labels of a model are assigned to, as far as the registry was told."""
        with self._changed:
            return self._assigned.get(name, {})

    def relabel(self, name: str, assigned: Assigned) -> None:
        """Let labels point at the versions that they are assigned to now.

        A label points at nothing while its version is not in memory. Where that is still to come, the label stays where it
        was until then, so that requests which use it go on.
        """
        with self._changed:
            self._assigned[name] = assigned
            self._point_labels(name)

    def _point_labels(self, name: str) -> None:
        """Derive the labels of a model from its versions in memory; of those that declare the same label, the highest has it."""
        versions, before = self._entries.get(name, {}), self._labels.get(name, {})
        models = {number: each.model for number, each in sorted(versions.items()) if each.state == "ready"}
        labels = {label: number for number, model in models.items() if model for label in model.labels}
        for label, version in self._assigned.get(name, {}).items():
            is_to_come = version is not None and (
                version not in versions or versions[version].state == "loading"
            )
            target = before.get(label) if is_to_come else version
            if target is not None and target in models:
                labels[label] = target
            else:
                labels.pop(label, None)
        self._labels[name] = labels

    def _try(self, source: ModelSource) -> tuple[Model | None, LayerscopeError | None]:
        try:
            model = self._load(source)
            self._memory.require_room(model)
        except LayerscopeError as error:
            logger.warning("%s@%d is not served: %s", source.name, source.version, error.message)
            return None, error.with_traceback(None)
        except Exception:
            logger.exception("%s@%d is not served", source.name, source.version)
            return None, ModelRefused(
                "The model could not be loaded, for a reason nobody foresaw: see the log."
            )
        return model, None

    def _unlist(self, entries: list[Entry[Model]]) -> list[Entry[Model]]:
        """Take entries off the list; the same entries, to be closed outside the lock."""
        for entry in entries:
            versions = self._entries[entry.source.name]
            del versions[entry.source.version]
            if not versions:
                del self._entries[entry.source.name]
        self._retire(entries)
        return entries

    def _retire(self, entries: Iterable[Entry[Model]]) -> None:
        """Let no new lease begin on these entries, and no label point at them."""
        retired = list(entries)
        for entry in retired:
            entry.state = "unloaded" if entry.model is None else "unloading"
        for name in {each.source.name for each in retired}:
            self._point_labels(name)

    def _close_unused(self, entries: Iterable[Entry[Model]]) -> None:
        """Close the models that are being unloaded and have no lease."""
        closed = [entry for entry in entries if self._close_if_unused(entry)]
        if closed:
            # Descriptions have reference cycles, which only the garbage collector frees. A collection takes up to a second, in
            # which no thread of Python runs: one for all closed models.
            gc.collect()
            with self._changed:
                for entry in closed:
                    entry.state = "unloaded"

    def _close_if_unused(self, entry: Entry[Model]) -> bool:
        with self._changed:
            if entry.state != "unloading" or entry.leases or entry.model is None:
                return False
            model, entry.model = entry.model, None
        model.close()
        return True

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
    _require_loaded(entry, reference)
    if entry.model is None or entry.state != "ready":
        why = f": {entry.reason}" if entry.reason else "."
        raise ModelNotLoaded(f"Model {reference!r} is not loaded{why}", model=reference, state=entry.state)
    return entry.model


def _require_loaded(entry: Entry[Model], reference: str) -> None:
    if entry.state == "loading":
        raise ModelLoading(
            f"Model {reference!r} is still being loaded: try again in a moment.", model=reference
        )
