"""The one place where models are loaded, unloaded, removed and labelled: a command of this process or of another worker."""

from contextlib import suppress
from typing import Generic

from layerscope.errors import ModelNotFound
from layerscope.models.directory import Key
from layerscope.models.directory_sync import DirectorySync, Found
from layerscope.models.entry import Model
from layerscope.models.ledgers import Ledgers
from layerscope.models.registry import Registry
from layerscope.models.worker_sync import Command, WorkerSync


class CommandExecutor(Generic[Model]):
    """Applies commands. For one thread at a time.

    Args:
        registry: the models that they are about.
        directory: where the files of the models are.
        ledgers: what callers asked for, labels among it.
        sync: publishes the commands of this process.
        follows_directory: whether the models are always those in the directory: what is gone from it is not served.
    """

    def __init__(
        self,
        registry: Registry[Model],
        directory: DirectorySync[Model],
        ledgers: Ledgers,
        sync: WorkerSync,
        *,
        follows_directory: bool,
    ) -> None:
        self._registry = registry
        self._directory = directory
        self._ledgers = ledgers
        self._sync = sync
        self._follows_directory = follows_directory

    def change(self, command: Command, found: Found | None = None) -> None:
        """Apply a command of this process, and publish it behind the unloading of what made way for it; see `apply`."""
        before = self._ready()
        self.apply(command, found or {})
        made_way = before - self._ready() - {command.key}
        self._sync.publish(*(Command("unload", *key) for key in sorted(made_way)), command)

    def follow(self, command: Command) -> None:
        """Apply a command that another worker has applied, with the directory as it is now; see `apply`."""
        found = self._directory.list_new()
        if self._follows_directory:
            # The replacement of a leader publishes what there is, and cannot know what went before it started.
            self._directory.unlist_gone(found, loaded=True)
        self.apply(command, found)

    def apply(self, command: Command, found: Found) -> None:
        """Carry out a command.

        Args:
            command: what to do. A version that cannot be loaded is listed with the cause.
            found: the versions in the directory. One to load that is not among them was removed by another worker.

        Raises:
            ModelLoading: the version to unload is being loaded.
        """
        match command.kind:
            case "load" if command.key in found:
                self._directory.take(found[command.key])
                self._registry.load(found[command.key])
            case "load" | "remove":
                self._registry.remove(command.key)
            case "unload":
                if command.key in found:
                    self._directory.list_unloaded(found[command.key])
                # Another worker may have removed it.
                with suppress(ModelNotFound):
                    self._registry.unload(reference_of(command.key))
            case "labels":
                self._registry.relabel(command.name, self._ledgers.labels(command.name))

    def _ready(self) -> set[Key]:
        return {each.source.key for each in self._registry.entries() if each.state == "ready"}


def reference_of(key: Key) -> str:
    """The reference that means one version: `name@version`."""
    return "{}@{}".format(*key)
