"""Models in MLflow: `models:/NAME`, `models:/NAME/3`, `models:/NAME@ALIAS`, and artefacts of a run, `runs:/RUN/PATH`.

MLflow finds its servers and keys in the environment (`MLFLOW_TRACKING_URI`, `MLFLOW_REGISTRY_URI`, …).
"""

import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from layerscope.errors import OptionInvalid
from layerscope.limits import MIB
from layerscope.models.directory import Key, is_model_name, model_among
from layerscope.models.mirrors.places import File, Files, reaching, tops

MLFLOW = re.compile(
    r"models:/(?P<name>[^/@]+)(?:/(?P<version>\d+)|@(?P<alias>[^/]+))?|runs:/[^/]+/(?P<path>.+)"
)
"""The sources that this module reads."""

_DATA = "data/"
_SAVED_MODEL = ("model/", "model.savedmodel/")


class Mlflow:
    """A registered model, or the artefacts of a run.

    Args:
        uri: as above. Without a version or an alias, all versions of the model.

    Raises:
        OptionInvalid: MLflow is not installed, or no model can have the name.
    """

    def __init__(self, uri: str) -> None:
        self.name = uri
        self._reference = MLFLOW.fullmatch(uri)
        # Otherwise MLflow reports its use to its makers.
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        try:
            import mlflow  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise OptionInvalid(
                f"{uri} needs layerscope[mlflow] to be installed.", option="models"
            ) from error
        self._client: Any = mlflow.MlflowClient()
        self._model = self._called()

    def versions(self) -> dict[Key, Files]:
        """The versions that are ready, or the artefacts as version 1.

        Raises:
            SourceUnreachable: MLflow cannot be read, or has no such model or run.
        """
        with reaching(self.name):
            found = {(self._model, number): _model_files(uri) for number, uri in self._uris().items()}
        return {key: files for key, files in found.items() if files}

    def read(self, file: File) -> Iterator[bytes]:
        """The content of a file, in chunks, once MLflow has downloaded all of it.

        Raises:
            SourceUnreachable: MLflow cannot read it.
        """
        uri, _, path = file.address.partition("#")
        with reaching(self.name), tempfile.TemporaryDirectory() as folder:
            fetched = Path(_artefacts(uri).download_artifacts(path, folder))
            with fetched.open("rb") as opened:
                while chunk := opened.read(MIB):
                    yield chunk

    def _uris(self) -> dict[int, str]:
        """The URI of the files of each version."""
        wanted = self._reference.groupdict() if self._reference else {}
        if wanted.get("path"):
            return {1: self.name}
        name = wanted["name"]
        if wanted["version"]:
            versions = [self._client.get_model_version(name, wanted["version"])]
        elif wanted["alias"]:
            versions = [self._client.get_model_version_by_alias(name, wanted["alias"])]
        else:
            versions = self._client.search_model_versions(f"name='{name}'")
        return {
            int(each.version): f"models:/{name}/{each.version}" for each in versions if each.status == "READY"
        }

    def _called(self) -> str:
        """The model's name in a directory of models, where names are shorter and in small letters."""
        wanted = self._reference.groupdict() if self._reference else {}
        given = wanted.get("name") or str(wanted.get("path")).rpartition("/")[2]
        name = re.sub(r"[^a-z0-9._-]+", "-", given.lower())
        if not is_model_name(name):
            raise OptionInvalid(f"A model cannot be called {given[:80]!r} here.", option="models")
        return name


def _artefacts(uri: str) -> Any:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository  # noqa: PLC0415

    return get_artifact_repository(uri)


def _model_files(uri: str) -> Files:
    """The files of a model, as a directory of models has them; none if it is not a model of Keras or TensorFlow.

    A model that MLflow logged is in a folder `data`; one that was logged as a file is where the user put it.
    """
    listed = {
        path: File(f"{uri}#{path}", size, f"{uri} {size}") for path, size in _listed(_artefacts(uri), None)
    }
    if model_among(tops(listed)):
        return listed
    inside = {path.removeprefix(_DATA): file for path, file in listed.items() if path.startswith(_DATA)}
    found = {
        path.replace(*_SAVED_MODEL, 1) if path.startswith(_SAVED_MODEL[0]) else path: file
        for path, file in inside.items()
    }
    beside = {path: file for path, file in listed.items() if "/" not in path}
    return {**beside, **found} if model_among(tops(found)) else {}


def _listed(artefacts: Any, folder: str | None) -> Iterator[tuple[str, int | None]]:
    for each in artefacts.list_artifacts(folder):
        if each.is_dir:
            yield from _listed(artefacts, each.path)
        else:
            yield each.path, each.file_size
