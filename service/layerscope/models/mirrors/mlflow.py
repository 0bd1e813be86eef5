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
from layerscope.models.mirrors.places import File, Files, reading, tops

MLFLOW = re.compile(
    r"models:/(?P<name>[^/@]+)(?:/(?P<version>\d+)|@(?P<alias>[^/]+))?|runs:/[^/]+/(?P<path>.+)"
)
"""What this module takes."""

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
        self._asked = MLFLOW.fullmatch(uri)
        # It tells its makers what it is used for otherwise.
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
        with reading(self.name):
            found = {(self._model, number): _model_files(uri) for number, uri in self._uris().items()}
        return {key: files for key, files in found.items() if files}

    def read(self, file: File) -> Iterator[bytes]:
        """The content of a file, in pieces, once MLflow has downloaded all of it.

        Raises:
            SourceUnreachable: MLflow cannot read it.
        """
        uri, _, path = file.address.partition("#")
        with reading(self.name), tempfile.TemporaryDirectory() as folder:
            fetched = Path(_artefacts(uri).download_artifacts(path, folder))
            with fetched.open("rb") as opened:
                while piece := opened.read(MIB):
                    yield piece

    def _uris(self) -> dict[int, str]:
        """Where the files of each version are."""
        asked = self._asked.groupdict() if self._asked else {}
        if asked.get("path"):
            return {1: self.name}
        name = asked["name"]
        if asked["version"]:
            versions = [self._client.get_model_version(name, asked["version"])]
        elif asked["alias"]:
            versions = [self._client.get_model_version_by_alias(name, asked["alias"])]
        else:
            versions = self._client.search_model_versions(f"name='{name}'")
        return {
            int(each.version): f"models:/{name}/{each.version}" for each in versions if each.status == "READY"
        }

    def _called(self) -> str:
        """What the model is called here, where names are shorter and in small letters."""
        asked = self._asked.groupdict() if self._asked else {}
        said = asked.get("name") or str(asked.get("path")).rpartition("/")[2]
        name = re.sub(r"[^a-z0-9._-]+", "-", said.lower())
        if not is_model_name(name):
            raise OptionInvalid(f"A model cannot be called {said[:80]!r} here.", option="models")
        return name


def _artefacts(uri: str) -> Any:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository  # noqa: PLC0415

    return get_artifact_repository(uri)


def _model_files(uri: str) -> Files:
    """The files of a model as a directory has them; none if it is not one of Keras or TensorFlow.

    What MLflow itself has logged is in a folder `data`; what was logged as a file is where it was put.
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
