"""Uploaded models: whether they are allowed, and the store that checks, tries and keeps them."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from layerscope.errors import ControlRefused, OptionInvalid
from layerscope.limits import Limits
from layerscope.models.commit import Commit
from layerscope.models.directory import ModelSource
from layerscope.models.entry import Loaded
from layerscope.models.manifest import Manifest
from layerscope.models.store import AddedModel, IncomingFile, ModelStore


class Uploads:
    """Adds uploaded models to a directory, and removes them. Safe to use from many threads and processes.

    Args:
        directory: the directory of models.
        limits: bounds of a model, of checking it, and of the store.
        load: opens a model, as it is opened when it is served.
        are_allowed: whether the service was started to take uploads.

    Raises:
        StorageFull, ControlRefused: uploads are allowed, and the directory cannot be written.
    """

    def __init__(
        self, directory: Path, limits: Limits, load: Callable[[ModelSource], Loaded], *, are_allowed: bool
    ) -> None:
        self._store = ModelStore(directory, limits) if are_allowed else None
        self._load = load

    def receiving(self) -> AbstractContextManager[IncomingFile]:
        """A file to receive a model in; see `ModelStore.receiving`.

        Raises:
            ControlRefused: uploads are not allowed.
            StorageFull: there is no room.
        """
        return self._allowed().receiving()

    def add(self, file: Path, name: str, declaration: Manifest | None, commit: Commit) -> AddedModel:
        """Check a model file, try it, and store a fresh one; see `ModelStore.add`.

        Raises:
            ControlRefused: uploads are not allowed.
            DeadlineExceeded, OptionInvalid, StorageFull, ModelRefused, UnsupportedFormat: see `ModelStore.add`; nothing has changed.
        """
        return self._allowed().add(file, name, declaration, self._try, commit)

    def require_allowed(self) -> None:
        """Check that uploads are allowed.

        Raises:
            ControlRefused: they are not.
        """
        self._allowed()

    def remove(self, source: ModelSource, reference: str) -> None:
        """Remove the files of an uploaded version.

        Args:
            source: what the reference means now.
            reference: must be `name@version`: a label might point at another version by now than its caller believes.

        Raises:
            ControlRefused: uploads are not allowed, or an operator put the version there.
            OptionInvalid: the reference names no version.
        """
        if reference != f"{source.name}@{source.version}":
            raise OptionInvalid(
                f"Say which version to remove: {source.name}@{source.version}, for example.",
                option="model",
            )
        self._allowed().remove(source.name, source.version)

    def _try(self, source: ModelSource) -> None:
        """Open the fresh file before it is stored, with all that serving it does. Its version number is not known yet."""
        self._load(source).close()

    def _allowed(self) -> ModelStore:
        if self._store is None:
            raise ControlRefused(
                "The service takes no models: start it with --allow-upload, or put them into its directory.",
                allow_upload=False,
            )
        return self._store
