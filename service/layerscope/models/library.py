"""The models of a directory, and every way in which they change while a service runs."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Generic

from layerscope.errors import LayerscopeError, ModelLoading, SourceUnreachable
from layerscope.limits import Limits
from layerscope.models.bounds import OpeningBounds
from layerscope.models.changes import Addition
from layerscope.models.command_executor import CommandExecutor, reference_of
from layerscope.models.commit import Commit
from layerscope.models.control import Control
from layerscope.models.directory import ModelSource
from layerscope.models.directory_sync import DirectorySync, Found
from layerscope.models.entry import Entry, Model
from layerscope.models.ledgers import Ledgers
from layerscope.models.manifest import Manifest
from layerscope.models.registry import Registry
from layerscope.models.source_sync import Refresh, SourceSync, nothing_to_fetch
from layerscope.models.store import IncomingFile
from layerscope.models.uploads import Uploads
from layerscope.models.worker_sync import SINGLE_PROCESS, Command, Kind, WorkerSync

logger = logging.getLogger(__name__)


class Library(Generic[Model]):
    """The models of a directory. Safe to use from many threads; models are loaded one after the other.

    Each method resolves what its caller means, has one command applied and published (`CommandExecutor`), and waits until
    the other workers have applied it, too.

    Args:
        directory: where the models are; see `models.directory`.
        load: makes a model from its source.
        limits: `models_bytes` bounds the memory of all loaded models; others bound opening those that were uploaded.
        control: what decides which models are in memory.
        load_for_trial: makes a model that is closed at once, to see whether it loads; `load` if left out.
        trusted: whether to trust the authors of the models: SavedModels are programs.
        refresh: what brings the directory up to date before it is read, where it is the mirror of a place elsewhere.
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
        load_for_trial: Callable[[ModelSource], Model] | None = None,
        refresh: Refresh = nothing_to_fetch,
        worker_sync: WorkerSync = SINGLE_PROCESS,
    ) -> None:
        self._ledgers = Ledgers(directory)
        self.registry: Registry[Model] = Registry(load, self._ledgers.labels, limits.models_bytes)
        self._control = control
        self._sync = worker_sync
        self._changing = threading.Lock()
        self._closed = threading.Event()
        self._source = SourceSync(self.registry, directory, lambda: refresh(self._closed.is_set))
        self._directory = DirectorySync(
            directory, self.registry, self._source, trusted=trusted, bounds=OpeningBounds.of(limits)
        )
        self._commands = CommandExecutor(
            self.registry,
            self._directory,
            self._ledgers,
            worker_sync,
            follows_directory=control.follows_directory,
        )
        self._uploads = Uploads(directory, limits, load_for_trial or load, are_allowed=control.uploads)
        self._poller = threading.Thread(target=self._keep_polling, name="layerscope-poll", daemon=True)

    @property
    def sync_error(self) -> LayerscopeError | None:
        """Why the models may differ from those of the place that they are fetched from; None if they do not."""
        return self._source.sync_error

    def open(self, progress: Callable[[Entry[Model]], None]) -> bool:
        """Load the models of the start; those that fail are listed with a reason.

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
            self._source.refresh()
        except SourceUnreachable:
            if not self._directory.find():
                raise
        found = self._directory.find()
        for name in {each.name for each in found.values()}:
            self._ledgers.look(name)
        wanted = [
            each for each in found.values() if self._control.starts(each) and not self._is_unloaded(each)
        ]
        for source in found.values():
            if source in wanted:
                self.registry.announce(source)
            else:
                self._directory.list_unloaded(source)
        # What changed after the last leader ended, the other workers do not know.
        is_news = self._polls and self._sync.is_late
        carry_out = self._commands.change if is_news else self._commands.apply
        for source in wanted:
            with self._changing:
                if self._closed.is_set():
                    return False
                carry_out(Command("load", *source.key), found)
            progress(self.registry.find(reference_of(source.key)))
        self._source.list_refused()
        self._sync.follow(self._follow)
        if self._polls:
            self._poller.start()
        return True

    def load(self, reference: str) -> Entry[Model]:
        """Load a version of a model as its files are now, in place of the one in memory if it is there already.

        Args:
            reference: `name@version` or `name@label`; of a plain `name` the highest version.

        Raises:
            ControlRefused: see `Control.require_orders`.
            ModelNotFound: there is no such model in the directory.
            ModelRefused: it cannot be loaded; one that was loaded goes on.
            SourceUnreachable: the models are elsewhere, and that cannot be read.
        """
        self._control.require_orders()
        with self._changes():
            self._source.refresh()
            self._source.list_refused()
            found = self._directory.list_new()
            self._directory.unlist_gone(found, loaded=False)
            key = self._directory.resolve(reference, found).key
            self._note_unloaded(*key, unloaded=False)
            self._commands.change(Command("load", *key), found)
            entry = self.registry.find(reference_of(key))
        self._sync.wait_for_peers()
        if entry.cause is not None:
            raise entry.cause
        return entry

    def unload(self, reference: str) -> Entry[Model]:
        """Take a version out of memory: now, or when the last request that uses it has ended.

        Raises:
            ControlRefused: see `Control.require_orders`.
            ModelNotFound, ModelLoading: see `Registry.unload`.
        """
        self._control.require_orders()
        # A single process need not wait for a load of another model. Several must apply commands in the order in which
        # they publish them, or write them down.
        is_shared = self._sync.has_peers or self._control.follows_directory
        with self._changing if is_shared else nullcontext():
            entry = self.registry.find(reference)
            self._note_unloaded(*entry.source.key, unloaded=True)
            self._commands.change(Command("unload", *entry.source.key))
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
        self._control.require_labels()
        with self._changing, self.registry.lease(reference):
            entry = self.registry.find(reference)
            self._ledgers.assign(entry.source.name, label, entry.source.version)
            self._commands.change(Command("labels", entry.source.name))
        self._sync.wait_for_peers()
        return entry

    def unlabel(self, name: str, label: str) -> None:
        """Let a label point at nothing, now and after the next start.

        Raises:
            ControlRefused, StorageFull: see `label`.
            ModelNotFound: it points at nothing already.
        """
        self._control.require_labels()
        with self._changing:
            self.registry.find(f"{name}@{label}")
            self._ledgers.assign(name, label, None)
            self._commands.change(Command("labels", name))
        self._sync.wait_for_peers()

    def receiving(self) -> AbstractContextManager[IncomingFile]:
        """A file to receive a model in, gone with the context; see `ModelStore.receiving`.

        Raises:
            ControlRefused: the service was not started with `allow_upload`.
            StorageFull: there is no room.
        """
        return self._uploads.receiving()

    def add(
        self,
        file: Path,
        name: str,
        declaration: Manifest | None,
        *,
        load: bool,
        commit: Commit | None = None,
    ) -> Addition[Model]:
        """Check a model file, try it, and store a fresh one as the next version of a model.

        Args:
            file: what came; its name ends in `.keras`, `.h5` or `.hdf5`, or has no ending.
            name: what to call the model.
            declaration: what is declared with it, and is data.
            load: whether to load it, too.
            commit: the decision to store it; a caller who no longer waits has decided against it.

        Raises:
            ControlRefused: the service was not started with `allow_upload`.
            DeadlineExceeded, OptionInvalid, StorageFull, ModelRefused, UnsupportedFormat: see `ModelStore.add`; nothing has changed.
        """
        added = self._uploads.add(file, name, declaration, commit or Commit())
        key = name, added.version
        with self._changes():
            found = self._directory.list_new()
            entry = self.registry.find(reference_of(key))
            if entry.state != "ready":
                self._note_unloaded(*key, unloaded=not load)
                # What is not to be loaded is listed by the others, too.
                self._commands.change(Command("load" if load else "unload", *key), found)
                entry = self.registry.find(reference_of(key))
        self._sync.wait_for_peers()
        return Addition(entry, added.report, added.is_new)

    def remove(self, reference: str) -> None:
        """Remove an uploaded version from the disk and from memory. Requests that use it are finished.

        Args:
            reference: `name@version`; a label, or none, might mean another version than its caller believes.

        Raises:
            ControlRefused: the service was not started with `allow_upload`, or an operator put the model there.
            OptionInvalid: it names no version.
            ModelNotFound: there is no such version.
        """
        self._uploads.require_allowed()
        with self._changing:
            source = self.registry.find(reference).source
            self._uploads.remove(source, reference)
            self._commands.change(Command("remove", *source.key))
        self._sync.wait_for_peers()

    def poll(self) -> None:
        """Do what changed in the directory since the last poll: load what is new, remove what is gone, follow the ledgers."""
        with self._changing:
            if self._closed.is_set():
                return
            with suppress(SourceUnreachable):
                self._source.refresh()
            found = self._directory.find()
            changes = self._directory.changes(found)
            for source in changes.gone:
                self._commands.change(Command("remove", *source.key))
            self._directory.unlist_gone(found, loaded=False)
            for name in sorted({each.name for each in found.values()}):
                self._follow_ledger(name, found)
            for source in changes.changed:
                kind: Kind = "unload" if self._is_unloaded(source) else "load"
                self._commands.change(Command(kind, *source.key), found)
            self._source.list_refused()

    def close(self) -> None:
        """Load nothing more, once what is being loaded is. What is in memory stays there until `registry.clear`."""
        self._closed.set()
        with self._changing:
            pass
        self._sync.close()

    @property
    def _polls(self) -> bool:
        return self._control.follows_directory and self._sync.is_leader

    def _is_unloaded(self, source: ModelSource) -> bool:
        """Whether a version is not to be in memory, by an order to one of the services that follow the directory."""
        return self._control.follows_directory and source.version in self._ledgers.read(source.name).unloaded

    def _note_unloaded(self, name: str, version: int, *, unloaded: bool) -> None:
        """Write down an order for the other services, where they follow the directory."""
        if self._control.follows_directory:
            self._ledgers.note_unloaded(name, version, unloaded=unloaded)

    def _follow_ledger(self, name: str, found: Found) -> None:
        """Carry out what another service over the directory was asked for."""
        before, now = self._ledgers.look(name)
        for entry in self.registry.entries():
            key = entry.source.key
            if key not in found or key[0] != name:
                continue
            is_out = entry.state in {"unloaded", "unloading"}
            if key[1] in now.unloaded and not is_out:
                self._commands.change(Command("unload", *key), found)
            elif key[1] in before.unloaded - now.unloaded and is_out:
                self._commands.change(Command("load", *key), found)
        if now.labels != self.registry.assigned(name):
            self._commands.change(Command("labels", name))

    @contextmanager
    def _changes(self) -> Iterator[None]:
        """One change at a time, and none once the library is closed."""
        with self._changing:
            if self._closed.is_set():
                raise ModelLoading("The service ends: it loads nothing more.")
            yield

    def _follow(self, command: Command) -> None:
        """Apply a command that another worker has applied and published."""
        with self._changing:
            if not self._closed.is_set():
                self._commands.follow(command)

    def _keep_polling(self) -> None:
        while not self._closed.wait(self._control.seconds):
            try:
                self.poll()
            except LayerscopeError as error:
                logger.warning("the directory of models was not looked at: %s", error.message)
            except Exception:
                logger.exception("the directory of models was not looked at")
