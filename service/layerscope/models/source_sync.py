"""A directory of models that is filled from elsewhere, and what could not be fetched."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Generic

from layerscope.errors import LayerscopeError
from layerscope.models.directory import Key, ModelSource
from layerscope.models.registry import Model, Registry

logger = logging.getLogger(__name__)

Refused = Mapping[Key, LayerscopeError]
"""The versions that could not be fetched, and why."""

Refresh = Callable[[Callable[[], bool]], Refused]
"""Brings a directory up to date with a place elsewhere, as long as somebody waits for that; see `Mirror.refresh`."""


def nothing_to_fetch(_is_wanted: Callable[[], bool]) -> Refused:
    """For a directory that is nobody's mirror."""
    return {}


class Supply(Generic[Model]):
    """Brings a directory up to date, and tells a registry what could not be fetched.

    Args:
        registry: what lists the models.
        directory: where they are.
        refresh: does it.

    Attributes:
        refused: what could not be fetched when the place was looked at last.
        trouble: why that could not be looked at; None if it could.
    """

    def __init__(self, registry: Registry[Model], directory: Path, refresh: Callable[[], Refused]) -> None:
        self.refused: Refused = {}
        self.trouble: LayerscopeError | None = None
        self._registry = registry
        self._directory = directory
        self._refresh = refresh

    def renew(self) -> None:
        """Bring the directory up to date.

        Raises:
            SourceUnreachable: the place cannot be read; the directory has what was fetched before.
        """
        before = self.refused
        try:
            self.refused = self._refresh()
        except LayerscopeError as error:
            if self.trouble is None:
                logger.warning("what was fetched before is served: %s", error.message)
            self.trouble = error.with_traceback(None)
            raise
        if self.trouble is not None:
            logger.info("models can be fetched again")
        self.trouble = None
        for key in before.keys() - self.refused.keys():
            self._registry.relent(self._source(key))

    def list_refused(self) -> None:
        """Have it listed which versions could not be fetched, and why."""
        for key, cause in self.refused.items():
            self._registry.refuse(self._source(key), cause)

    def require_fetched(self, key: Key) -> None:
        """Check that a version could be fetched.

        Raises:
            ModelRefused, StorageFull: it could not.
        """
        if key in self.refused:
            raise self.refused[key]

    def _source(self, key: Key) -> ModelSource:
        folder = self._directory / key[0] / str(key[1])
        return ModelSource(*key, folder, folder)
