"""The models of a directory, in memory or not, and every way in which that changes while a service runs."""

import logging
import threading
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Generic

from layerscope.errors import (
    ControlRefused,
    LayerscopeError,
    ModelLoading,
    ModelNotFound,
    OptionInvalid,
    SourceUnreachable,
)
from layerscope.limits import Limits
from layerscope.models.bounds import OpeningBounds
from layerscope.models.changes import Addition
from layerscope.models.control import Control
from layerscope.models.directory import Key, ModelSource, find_models
from layerscope.models.ledger import Ledger
from layerscope.models.manifest import Manifest
from layerscope.models.registry import Entry, Model, Registry
from layerscope.models.source_sync import Refresh, Supply, nothing_to_fetch
from layerscope.models.store import ModelStore
from layerscope.models.watching import DirectoryWatch
from layerscope.models.worker_sync import SINGLE_PROCESS, Command, WorkerSync

logger = logging.getLogger(__name__)


class Library(Generic[Model]):
    """The models of a directory. Safe to use from many threads; models are loaded one after the other.

    Args:
        directory: where they are; see `models.directory`.
        load: makes a model from its source.
        limits: `models_bytes` is what the loaded ones may take together; the others bound the opening of those that came
            from strangers.
        control: what decides which are in memory.
        trusted: whether to trust whoever made them: SavedModels are programs.
        refresh: what brings the directory up to date before it is looked at, where it is the mirror of a place elsewhere.
        worker_sync: the other processes that serve the same models.
    """

    def __init__(
        self,
        directory: Path,
        load: Callable[[ModelSource], Model],
        limits: Limits,
        control: Control,
        *,
        trusted: bool,
        refresh: Refresh = nothing_to_fetch,
        worker_sync: WorkerSync = SINGLE_PROCESS,
    ) -> None:
        self.registry: Registry[Model] = Registry(load, self._labels_of, limits.models_bytes)
        self._directory = directory
        self._store = ModelStore(directory, limits) if control.uploads else None
        self._make = load
        self._control = control
        self._sync = worker_sync
        self._trusted = trusted
        self._bounds = OpeningBounds.of(limits)
        self._watch = DirectoryWatch()
        self._changing = threading.Lock()
        self._closed = threading.Event()
        self._supply = Supply(self.registry, directory, lambda: refresh(lambda: not self._closed.is_set()))
        self._poller = threading.Thread(target=self._keep_polling, name="layerscope-poll", daemon=True)

    @property
    def trouble(self) -> LayerscopeError | None:
        """Why the models may be others than those of the place that they come from."""
        return self._supply.trouble

    def open(self, progress: Callable[[Entry[Model]], None]) -> bool:
        """Load what is to be loaded at the start; those that fail are listed with a reason.

        Args:
            progress: called after each.

        Returns:
            Whether all was done; not if the library was closed meanwhile.

        Raises:
            SourceUnreachable: the models are elsewhere, and nothing was fetched before.
        """
        self._sync.wait_for_leader()
        if self._closed.is_set():
            return False
        try:
            self._supply.renew()
        except SourceUnreachable:
            if not self._sources():
                raise
        # What changed while nobody looked at the directory, nobody else has.
        is_news = self._control.mode == "poll" and self._sync.is_leader and self._sync.is_late
        sources = self._sources()
        wanted = [each for each in sources if self._control.starts(each)]
        for source in sources:
            self.registry.announce(source, "loading" if source in wanted else "unloaded")
        for source in wanted:
            with self._changing:
                if self._closed.is_set():
                    return False
                entry = self._load(source, is_news=is_news)
            progress(entry)
        self._supply.list_refused()
        self._sync.follow(self._carry_out)
        if self._control.mode == "poll" and self._sync.is_leader:
            self._poller.start()
        return True

    def load(self, reference: str) -> Entry[Model]:
        """Load a version of a model as its files are now, in place of the one in memory if it is there already.

        Args:
            reference: `name@version` or `name@label`; of a plain `name` the highest version.

        Raises:
            ControlRefused: the service was not started with `control=explicit`.
            ModelNotFound: there is no such model in the directory.
            ModelRefused: it cannot be loaded; one that was loaded goes on.
            SourceUnreachable: the models are elsewhere, and that cannot be read.
        """
        self._require_explicit()
        with self._changing:
            self._require_open()
            self._supply.renew()
            self._supply.list_refused()
            entry = self._load(self._source(reference))
        self._sync.wait_for_peers()
        if entry.cause is not None:
            raise entry.cause
        return entry

    def unload(self, reference: str) -> Entry[Model]:
        """Take a version out of memory: now, or when the last request that uses it has ended.

        Raises:
            ControlRefused: the service was not started with `control=explicit`.
            ModelNotFound, ModelLoading: see `Registry.unload`.
        """
        self._require_explicit()
        # With others, nothing that one of them was told may come in between; alone, it waits for no load.
        with self._changing if self._sync.has_peers else nullcontext():
            entry = self.registry.unload(reference)
            self._sync.publish(Command("unload", *entry.source.key))
        self._sync.wait_for_peers()
        return entry

    def label(self, reference: str, label: str) -> Entry[Model]:
        """Let a label point at a loaded version, now and after the next start.

        Raises:
            ControlRefused: the service was started neither with `control=explicit` nor with `allow_upload`, or may not
                write it down.
            StorageFull: there is no room to write it down.
            ModelNotFound, ModelLoading, ModelNotLoaded: see `Registry.lease`.
        """
        self._require_labels()
        with self._changing, self.registry.lease(reference):
            source = self.registry.find(reference).source
            self._ledger(source.name).with_label(label, source.version).write(self._directory, source.name)
            entry = self.registry.label(f"{source.name}@{source.version}", label)
            self._sync.publish(Command("labels", source.name))
        self._sync.wait_for_peers()
        return entry

    def unlabel(self, name: str, label: str) -> None:
        """Let a label point at nothing, now and after the next start.

        Raises:
            ControlRefused, StorageFull: see `label`.
            ModelNotFound: it points at nothing already.
        """
        self._require_labels()
        with self._changing:
            self.registry.find(f"{name}@{label}")
            self._ledger(name).with_label(label, None).write(self._directory, name)
            self.registry.unlabel(name, label)
            self._sync.publish(Command("labels", name))
        self._sync.wait_for_peers()

    def receiving(self, size: int) -> AbstractContextManager[Path]:
        """A file to receive a model in, gone with the context; see `ModelStore.receiving`.

        Raises:
            ControlRefused: the service was not started with `allow_upload`.
            StorageFull: there is no room.
        """
        return self._open_store().receiving(size)

    def add(self, file: Path, name: str, declaration: Manifest | None, *, load: bool) -> Addition[Model]:
        """Check a model file, try it, and store a fresh one as the next version of a model.

        Args:
            file: a model file, see `ModelStore.add`.
            name: what to call the model.
            declaration: what is declared with it, and is data.
            load: whether to load it, too.

        Raises:
            ControlRefused: the service was not started with `allow_upload`.
            OptionInvalid, StorageFull, ModelRefused, UnsupportedFormat: see `ModelStore.add`; nothing has changed.
        """
        added = self._open_store().add(file, name, declaration, self._probe)
        reference = f"{name}@{added.version}"
        with self._changing:
            self._require_open()
            source = self._source(reference)
            entry = self.registry.find(reference)
            if entry.state != "ready":
                if load:
                    entry = self._load(source)
                else:
                    self._sync.publish(Command("unload", *source.key))
        self._sync.wait_for_peers()
        return Addition(entry, added.report, added.is_new)

    def remove(self, reference: str) -> None:
        """Remove a version that was sent, from the disk and from memory. Who uses it uses it to the end.

        Args:
            reference: `name@version`: a label, or none, might mean another than whoever asks believes.

        Raises:
            ControlRefused: the service was not started with `allow_upload`, or somebody put the model there by hand.
            OptionInvalid: it names no version.
            ModelNotFound: there is no such version.
        """
        store = self._open_store()
        with self._changing:
            source = self.registry.find(reference).source
            if reference != f"{source.name}@{source.version}":
                raise OptionInvalid(
                    f"Say which version to remove: {source.name}@{source.version}, for example.",
                    option="model",
                )
            store.remove(source.name, source.version)
            self.registry.remove(source)
            self._sync.publish(Command("remove", *source.key))
        self._sync.wait_for_peers()

    def poll(self) -> None:
        """Load what has come or changed in the directory since it was looked at last, and remove what is gone."""
        with self._changing:
            if self._closed.is_set():
                return
            with suppress(SourceUnreachable):
                self._supply.renew()
            changes = self._watch.look(self._sources())
            for source in changes.changed:
                self._load(source)
            for source in changes.gone:
                self.registry.remove(source)
                self._sync.publish(Command("remove", *source.key))
            self._supply.list_refused()

    def close(self) -> None:
        """Load nothing more, once what is being loaded is. What is in memory stays there until `registry.clear`."""
        self._closed.set()
        with self._changing:
            pass
        self._sync.close()

    def _load(self, source: ModelSource, *, is_news: bool = True) -> Entry[Model]:
        """Load a version, and tell the others unless they know."""
        # Before it is opened: what changes meanwhile is a change.
        self._watch.take(source)
        before = self._ready()
        entry = self.registry.load(source)
        if is_news:
            made_way = before - self._ready() - {source.key}
            self._sync.publish(*(Command("unload", *key) for key in made_way), Command("load", *source.key))
        return entry

    def _ready(self) -> set[Key]:
        return {each.source.key for each in self.registry.entries() if each.state == "ready"}

    def _carry_out(self, command: Command) -> None:
        """Do what another process was told, and has done."""
        with self._changing:
            if self._closed.is_set():
                return
            found = {each.key: each for each in self._sources()}
            listed = {each.source.key: each.source for each in self.registry.entries()}
            for key in found.keys() - listed.keys():
                self.registry.announce(found[key], "unloaded")
            if command.kind == "load" and command.key in found:
                self._load(found[command.key], is_news=False)
            elif command.kind == "load" and command.key in listed:
                # Another worker removed it at the same time.
                self.registry.remove(listed[command.key])
            elif command.kind == "unload" and command.key in self._ready():
                self.registry.unload("{}@{}".format(*command.key))
            elif command.kind == "remove" and command.key in listed:
                self.registry.remove(listed[command.key])
            elif command.kind == "labels":
                self.registry.relabel(command.name, self._ledger(command.name).labels)

    def _labels_of(self, source: ModelSource, model: Model) -> Iterable[str]:
        """Those that were made to point at a version, and those declared with it that were not made to do otherwise."""
        kept = self._ledger(source.name).labels
        made = {label for label, version in kept.items() if version == source.version}
        return made.union(label for label in model.labels if label not in kept)

    def _ledger(self, name: str) -> Ledger:
        return Ledger.read(self._directory, name)

    def _sources(self) -> list[ModelSource]:
        return find_models(self._directory, trusted=self._trusted, bounds=self._bounds)

    def _source(self, reference: str) -> ModelSource:
        """What a reference means among all that is in the directory now, which is listed from here on."""
        found = {each.key: each for each in self._sources()}
        listed = {each.source.key: each for each in self.registry.entries()}
        for key in found.keys() - listed.keys():
            self.registry.announce(found[key], "unloaded")
        for key in listed.keys() - found.keys() - self._supply.refused.keys():
            if listed[key].state in {"failed", "unloaded"}:
                self.registry.remove(listed[key].source)
        named = [key for key in found.keys() | self._supply.refused.keys() if key[0] == reference]
        key = max(named) if named else self.registry.find(reference).source.key
        self._supply.require_fetched(key)
        if key not in found:
            raise ModelNotFound(f"The files of {reference[:80]!r} are gone.", model=reference[:80])
        return found[key]

    def _keep_polling(self) -> None:
        while not self._closed.wait(self._control.seconds):
            try:
                self.poll()
            except Exception:
                logger.exception("the directory of models was not looked at")

    def _probe(self, source: ModelSource) -> None:
        """Try a model that is not stored yet, as it will be loaded. Its number is only known when it is stored."""
        self._make(source).close()

    def _open_store(self) -> ModelStore:
        if self._store is None:
            raise ControlRefused(
                "The service takes no models: start it with --allow-upload, or put them into its directory.",
                allow_upload=False,
            )
        return self._store

    def _require_labels(self) -> None:
        if self._store is None:
            self._require_explicit()

    def _require_explicit(self) -> None:
        if self._control.mode != "explicit":
            raise ControlRefused(
                f"The service was started with control={self._control.mode}, and takes no orders about its models: start it"
                " with --control explicit.",
                control=self._control.mode,
            )

    def _require_open(self) -> None:
        if self._closed.is_set():
            raise ModelLoading("The service ends: it loads nothing more.")
