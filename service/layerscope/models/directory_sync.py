"""A directory of models and the registry that lists it: what is there, what changed, and what a reference means."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Generic

from layerscope.errors import ModelNotFound, ModelRefused
from layerscope.models.bounds import OpeningBounds
from layerscope.models.directory import Key, ModelSource, find_models
from layerscope.models.durable import storing
from layerscope.models.entry import Model
from layerscope.models.misplaced import find_misplaced
from layerscope.models.registry import Registry
from layerscope.models.source_sync import SourceSync
from layerscope.models.watching import Changes, DirectoryWatch

logger = logging.getLogger(__name__)

Found = Mapping[Key, ModelSource]
"""The versions in a directory, by name and version."""


class DirectorySync(Generic[Model]):
    """Finds the versions in a directory and lists them in a registry, and as failed what is none. For one thread at a time.

    It loads nothing.

    Args:
        directory: where the models are; see `models.directory`.
        registry: what lists them.
        source: what fills the directory from elsewhere, and knows what could not be fetched.
        trusted: whether to trust the authors of the models: SavedModels are programs.
        bounds: what opening an uploaded model may take.
    """

    def __init__(
        self,
        directory: Path,
        registry: Registry[Model],
        source: SourceSync[Model],
        *,
        trusted: bool,
        bounds: OpeningBounds,
    ) -> None:
        self._directory = directory
        self._registry = registry
        self._source = source
        self._trusted = trusted
        self._bounds = bounds
        self._watch = DirectoryWatch()
        self._misplaced: Mapping[Key, ModelRefused] = {}

    def find(self) -> Found:
        """The versions that are in the directory now.

        Raises:
            SourceUnreachable, ControlRefused: the directory cannot be read; see `storing`.
        """
        with storing():
            sources = find_models(self._directory, trusted=self._trusted, bounds=self._bounds)
            found = {each.key: each for each in sources}
            self._list_misplaced(find_misplaced(self._directory, found.keys() | self._source.refused.keys()))
        return found

    def _list_misplaced(self, misplaced: Mapping[Key, ModelRefused]) -> None:
        for key in self._misplaced.keys() - misplaced.keys():
            self._registry.withdraw_refusal(key)
        for key, cause in misplaced.items():
            if key not in self._misplaced:
                logger.warning("%s@%d is not served: %s", *key, cause.message)
            folder = self._directory / key[0] / str(key[1])
            self._registry.refuse(ModelSource(*key, folder, folder), cause)
        self._misplaced = misplaced

    def list_new(self) -> Found:
        """The versions that are in the directory now. Those that were not listed yet are, as `unloaded`."""
        found = self.find()
        for key in found.keys() - self._listed():
            self._registry.announce(found[key], "unloaded")
        return found

    def list_unloaded(self, source: ModelSource) -> None:
        """List a version that is not to be loaded, as its files are now."""
        self.take(source)
        if source.key not in self._listed():
            self._registry.announce(source, "unloaded")

    def unlist_gone(self, found: Found, *, loaded: bool) -> None:
        """List versions no more whose files are gone, and with `loaded` unload those that are in memory."""
        for entry in self._registry.entries():
            key = entry.source.key
            is_gone = not any(key in each for each in (found, self._source.refused, self._misplaced))
            if is_gone and (loaded or entry.state in {"failed", "unloaded"}):
                self._registry.remove(key)

    def resolve(self, reference: str, found: Found) -> ModelSource:
        """The version that a reference means; of a plain name the highest in the directory, loaded or not.

        Raises:
            ModelNotFound: there is none.
            ModelRefused, StorageFull: it could not be fetched, or holds no model.
        """
        named = [key for key in found.keys() | self._source.refused.keys() if key[0] == reference]
        key = max(named) if named else self._registry.find(reference).source.key
        self._source.require_fetched(key)
        if key in self._misplaced:
            raise self._misplaced[key]
        if key not in found:
            raise ModelNotFound(f"The files of {reference[:80]!r} are gone.", model=reference[:80])
        return found[key]

    def take(self, source: ModelSource) -> None:
        """Remember the files of a version that is about to be opened: a change during that is a change."""
        self._watch.take(source)

    def changes(self, found: Found) -> Changes:
        """What changed since it was taken; see `DirectoryWatch.look`."""
        return self._watch.look(found.values())

    def _listed(self) -> set[Key]:
        return {each.source.key for each in self._registry.entries()}
