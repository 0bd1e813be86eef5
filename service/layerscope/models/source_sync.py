"""The place elsewhere that a directory of models is filled from: bringing it up to date, and what could not be fetched."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Generic

from layerscope.errors import LayerscopeError
from layerscope.models.directory import Key, ModelSource
from layerscope.models.entry import Model
from layerscope.models.registry import Registry

logger = logging.getLogger(__name__)

Refused = Mapping[Key, LayerscopeError]
"""The versions that could not be fetched, and why."""

Refresh = Callable[[Callable[[], bool]], Refused]
"""Brings a directory up to date with a place elsewhere, until it is cancelled; see `Mirror.refresh`."""


def nothing_to_fetch(_is_cancelled: Callable[[], bool]) -> Refused:
    """The `Refresh` of a directory that is not filled from elsewhere."""
    return {}


class SourceSync(Generic[Model]):
    """Brings a directory up to date with its place, and tells a registry what could not be fetched.

    Args:
        registry: what lists the models.
        directory: where they are.
        refresh: brings it up to date.

    Attributes:
        refused: what could not be fetched at the last refresh.
        sync_error: why the last refresh could not read the place; None if it could.
    """

    def __init__(self, registry: Registry[Model], directory: Path, refresh: Callable[[], Refused]) -> None:
        self.refused: Refused = {}
        self.sync_error: LayerscopeError | None = None
        self._registry = registry
        self._directory = directory
        self._refresh = refresh

    def refresh(self) -> None:
        """Bring the directory up to date.

        Raises:
            SourceUnreachable: the place cannot be read; the directory has what was fetched before.
        """
        before = self.refused
        try:
            self.refused = self._refresh()
        except LayerscopeError as error:
            if self.sync_error is None:
                logger.warning("what was fetched before is served: %s", error.message)
            self.sync_error = error.with_traceback(None)
            raise
        if self.sync_error is not None:
            logger.info("models can be fetched again")
        self.sync_error = None
        for key in before.keys() - self.refused.keys():
            self._registry.withdraw_refusal(key)

    def list_refused(self) -> None:
        """List the versions that could not be fetched, each with its cause."""
        for key, cause in self.refused.items():
            folder = self._directory / key[0] / str(key[1])
            self._registry.refuse(ModelSource(*key, folder, folder), cause)

    def require_fetched(self, key: Key) -> None:
        """Check that a version could be fetched.

        Raises:
            ModelRefused, StorageFull: it could not.
        """
        if key in self.refused:
            raise self.refused[key]
