"""A real MLflow with a file store: registered models and artefacts of runs."""

import pytest
from mirrored_places import contents
from mlflow import MlflowClient

from layerscope.errors import OptionInvalid, SourceUnreachable
from layerscope.limits import Limits
from layerscope.models.mirrors import is_elsewhere, mirror_of


class Store:
    """A file store, and what was logged in it."""

    def __init__(self, folder):
        self.folder = folder
        self.client = MlflowClient()
        self.experiment = self.client.create_experiment("digits")

    def log(self, **files):
        """A run with files as artefacts, in the folder `Digits`; in their names `__` is a slash, and `_` a dot."""
        run = self.client.create_run(self.experiment).info.run_id
        for path, text in files.items():
            folder, _, name = path.replace("__", "/").replace("_", ".").rpartition("/")
            local = self.folder / name
            local.write_text(text, "utf-8")
            self.client.log_artifact(run, str(local), f"Digits/{folder}".rstrip("/"))
        return f"runs:/{run}/Digits"

    def register(self, uri):
        return int(self.client.create_model_version("Digits", uri).version)


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    store = Store(tmp_path)
    store.client.create_registered_model("Digits")
    return store


def mirrored(uri, tmp_path, **limits):
    mirror = mirror_of(uri, tmp_path / "cache", Limits(**limits))
    return mirror.refresh(), contents(mirror.directory)


def test_versions_of_a_registered_model_come_with_their_numbers(store, tmp_path):
    store.register(store.log(model_keras="first", layerscope_json="{}"))
    store.register(store.log(model_keras="second"))
    store.client.set_registered_model_alias("Digits", "champion", "1")
    first = {"digits@1": {"layerscope.json": b"{}", "model.keras": b"first"}}
    second = {"digits@2": {"model.keras": b"second"}}
    assert mirrored("models:/Digits", tmp_path) == ({}, {**first, **second})
    assert mirrored("models:/Digits/2", tmp_path) == ({}, second)
    assert mirrored("models:/Digits@champion", tmp_path) == ({}, first)


def test_an_alias_that_points_elsewhere_is_followed(store, tmp_path):
    for text in ("first", "second"):
        store.register(store.log(model_keras=text))
    store.client.set_registered_model_alias("Digits", "champion", "1")
    assert list(mirrored("models:/Digits@champion", tmp_path)[1]) == ["digits@1"]
    store.client.set_registered_model_alias("Digits", "champion", "2")
    assert list(mirrored("models:/Digits@champion", tmp_path)[1]) == ["digits@2"]


def test_artefacts_of_a_run_are_version_one(store, tmp_path):
    assert mirrored(store.log(model_keras="one"), tmp_path)[1] == {"digits@1": {"model.keras": b"one"}}


def test_models_lie_where_mlflow_puts_them(store, tmp_path):
    keras = store.log(MLmodel="flavors", data__model_keras="weights", data__save_format_txt="keras")
    assert mirrored(keras, tmp_path)[1]["digits@1"]["model.keras"] == b"weights"
    saved = store.log(MLmodel="flavors", data__model__saved_model_pb="graph")
    assert "digits@1" in mirrored(saved, tmp_path)[1]
    assert mirrored(store.log(MLmodel="flavors", data__model_pkl="pickled"), tmp_path) == ({}, {})


def test_a_version_that_is_too_large_is_refused(store, tmp_path):
    store.register(store.log(model_keras="x" * 100))
    refused, found = mirrored("models:/Digits", tmp_path, model_file_bytes=50)
    assert refused["digits", 1].code == "model_too_large"
    assert found == {}


@pytest.mark.parametrize("uri", ["models:/Digits/7", "models:/Nothing@champion", "runs:/0000/digits"])
def test_what_mlflow_does_not_have_is_unreachable(store, tmp_path, uri):
    with pytest.raises(SourceUnreachable, match=uri):
        mirrored(uri, tmp_path)


def test_what_can_have_no_name_here_is_told(store, tmp_path):
    with pytest.raises(OptionInvalid, match="cannot be called"):
        mirror_of("models:/___", tmp_path, Limits())


@pytest.mark.parametrize("uri", ["models:/digits", "models:/digits/3", "models:/a b@c", "runs:/1a/model"])
def test_what_names_a_model_of_mlflow(uri):
    assert is_elsewhere(uri)
