"""Model files of every kind: what opens, what is refused, and how that reads."""

import json
import shutil
import zipfile

import keras
import numpy as np
import pytest
from keras import layers
from model_files import (
    PLUGIN,
    declare,
    pixels,
    tiny_model,
    write_version,
)

from layerscope.errors import ModelNotLoaded, ModelRefused
from layerscope.execution.inputs import TensorSource
from layerscope.execution.interface import Query
from layerscope.execution.local_engine import LocalEngine
from layerscope.graph.loading.prepare import prepare
from layerscope.graph.model import assemble
from layerscope.models.bounds import OpeningBounds
from layerscope.models.directory import RECORD, find_models
from layerscope.models.manifest import Manifest


@pytest.fixture(scope="module")
def tiny():
    return tiny_model()


def loaded(directory):
    engine = LocalEngine(directory)
    engine.load_all()
    return engine


def reason(directory):
    """Why the only model of the directory is not served."""
    (source,) = find_models(directory)
    with pytest.raises(ModelRefused) as raised:
        assemble(source, prepare(source), plan_bytes=2**28)
    return raised.value.message


def run(engine, model, layers, values):
    sources = {"image": [TensorSource(values)]}
    return engine.run(Query(model=model, sources=sources, layers=layers)).activations


@pytest.mark.parametrize("suffix", [".h5", ".hdf5"])
def test_files_of_keras_2_are_opened_with_keras_2(keras_2_files, tmp_path, suffix):
    shutil.copy(keras_2_files / "chain.h5", tmp_path / f"old{suffix}")
    engine = loaded(tmp_path)
    assert engine.describe("old").opened_with.startswith("tf-keras 2.")
    with np.load(keras_2_files / "chain.npz") as file:
        actual = run(engine, "old", ["conv", "outputs"], file["arr_0"])
        for address in ("conv", "scores"):
            np.testing.assert_allclose(actual[address].values, file[address], atol=1e-5)
    engine.close()


@pytest.mark.parametrize("plugin", [PLUGIN, PLUGIN.replace("@keras.saving", "# @keras.saving")])
def test_a_subclassed_model_with_its_plugin(tmp_path, plugin):
    scope = {}
    exec(plugin, scope)  # noqa: S102
    model = scope["Proposal"]()
    model.build((None, None, None, 3))
    folder = write_version(tmp_path, model, "faces", plugins=["proposal.py"])
    (folder / "proposal.py").write_text(plugin, "utf-8")
    keras.saving.get_custom_objects().clear()
    engine = loaded(tmp_path)
    description = engine.describe("faces")
    assert [name for name, _ in description.outputs] == ["output_0", "output_1"]
    assert [tap.address for tap in description.taps.outputs()] == [
        *("input", "trunk", "bend", "head-boxes", "head-faces")
    ]
    for size in (6, 9):
        values = pixels(2, size).astype(np.float32)
        actual = run(engine, "faces", ["all"], values)
        hidden = model.bend(model.trunk(values))
        np.testing.assert_allclose(actual["bend"].values, hidden, rtol=1e-4, atol=1e-3)
        np.testing.assert_allclose(actual["head-faces"].values, model.faces(hidden), rtol=1e-4, atol=1e-5)
    engine.close()


@pytest.mark.parametrize(
    ("plugin", "words"),
    [
        (None, "The plugin proposal.py is not a Python file beside the model."),
        ("raise RuntimeError('secret')", "The plugin proposal.py raised RuntimeError: see the log."),
        ("def", "The plugin proposal.py raised SyntaxError in line 1: see the log."),
        ("", "The model uses the class 'Proposal' of the module faces, which Keras does not have: install"),
    ],
)
def test_plugins_that_do_not_help(tmp_path, tiny, plugin, words):
    folder = write_version(tmp_path, tiny, "faces", plugins=["proposal.py"])
    with zipfile.ZipFile(folder / "model.keras") as file:
        parts = {name: file.read(name) for name in file.namelist()}
    config = json.loads(parts["config.json"])
    config |= {"module": "faces", "class_name": "Proposal", "registered_name": "faces>Nobody"}
    with zipfile.ZipFile(folder / "model.keras", "w") as file:
        for name, data in (parts | {"config.json": json.dumps(config)}).items():
            file.writestr(name, data)
    if plugin is not None:
        (folder / "proposal.py").write_text(plugin, "utf-8")
    why = reason(tmp_path)
    assert words in why
    assert "secret" not in why


def test_a_plugin_outside_the_folder_is_not_run(tmp_path, tiny):
    write_version(tmp_path, tiny, "outside", plugins=["../../evil.py"])
    (tmp_path / "evil.py").write_text("raise SystemExit", "utf-8")
    assert "own folder" in reason(tmp_path)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("damage", ["empty", "noise", "truncated", "no weights"])
def test_damaged_files(tmp_path, tiny, suffix, damage):
    path = tmp_path / f"bad{suffix}"
    tiny.save(path)
    whole = path.read_bytes()
    if damage == "no weights" and suffix == ".keras":
        with zipfile.ZipFile(path) as file:
            config = file.read("config.json")
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("config.json", config)
    else:
        damaged = {"empty": b"", "noise": b"\x00model" * 99, "truncated": whole[: len(whole) // 2]}
        path.write_bytes(damaged.get(damage, whole[:700]))
    why = reason(tmp_path)
    assert "save" in why
    assert str(tmp_path) not in why


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_code_in_a_data_file_is_not_run(tmp_path, suffix):
    marker = tmp_path / "was-run"
    start = keras.Input((4,))
    path = str(marker)
    code = layers.Lambda(lambda x: (open(path, "w").close(), x)[1], name="written")  # noqa: PTH123
    keras.Model(start, code(start)).save(tmp_path / f"code{suffix}")
    marker.unlink()
    assert "code in the Lambda layer 'written': declare \"trust_code\": true" in reason(tmp_path)
    assert not marker.exists()
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "layerscope.json").write_text('{"trust_code": true}', "utf-8")
    engine = loaded(tmp_path)
    assert marker.exists()
    engine.close()


def test_trusted_code_that_does_not_run_is_named(tmp_path):
    hidden = start = keras.Input((4,))
    for name in ("first", "second", "third", "fourth"):
        hidden = layers.Lambda(lambda x: keras.ops.abs(x) + 1, name=name)(hidden)
    write_version(tmp_path, keras.Model(start, hidden), "code", trust_code=True)
    why = reason(tmp_path)
    assert "code in the Lambda layers 'first', 'second', 'third' and 1 more does not run here" in why


def test_code_in_an_uploaded_file_is_not_run_whatever_is_declared(tmp_path):
    start = keras.Input((4,))
    folder = write_version(
        tmp_path, keras.Model(start, layers.Lambda(lambda x: x)(start)), "code", trust_code=True
    )
    (folder / RECORD).write_text("{}", "utf-8")
    (source,) = find_models(tmp_path, bounds=OpeningBounds(60, 8 << 30, 1_000))
    with pytest.raises(ModelRefused):
        prepare(source)
    with pytest.raises(ModelRefused, match="Only an operator can declare trust_code"):
        Manifest.of_untrusted('{"trust_code": true}')


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not valid JSON"),
        ("[1]", "layerscope.json is wrong"),
        (b"\xff\xfe", "not valid JSON in UTF-8"),
        ("[" * 100_000, "not valid JSON"),
        ('{"preprocesing": {}}', "wrong at preprocesing"),
        ('{"classes": [1, 2]}', "wrong at classes.0"),
        ('{"labels": ["3"]}', "wrong at labels.0"),
        (
            '{"preprocessing": {"preset": "caffee"}}',
            "layerscope.json: There is no preprocessing preset 'caffee'",
        ),
        ('{"preprocessing": {"sise": [8, 8]}}', "layerscope.json: "),
        (
            '{"preprocessing": {"size": [9, 8]}}',
            "images of shape [9, 8, 3] for input 'start', which takes [8, 8, 3]",
        ),
        ('{"preprocessing": {"color": "grey"}}', "images of shape [8, 8, 1]"),
        ('{"inputs": {"stop": {"preset": "unit"}}}', "declares input 'stop'; the model has start"),
        ('{"features": {"stop": ["age"]}}', "declares input 'stop'; the model has start"),
        (
            '{"features": {"start": ["age"]}}',
            "takes [8, 8, 3] (height, width, channels): names are for a vector",
        ),
        (
            '{"features": {"start": ["age", "age"]}}',
            "wrong at features.start: Value error, 'age' is there twice",
        ),
        ('{"features": {"start": [""]}}', "wrong at features.start.0"),
    ],
)
def test_declarations_that_are_wrong(tmp_path, tiny, text, words):
    folder = write_version(tmp_path, tiny, "bad")
    (folder / "layerscope.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    assert words in reason(tmp_path)


def test_what_fails_is_listed_with_a_reason_while_the_others_serve(tmp_path, tiny):
    write_version(tmp_path, tiny, "good")
    declare(write_version(tmp_path, tiny, "misdeclared"), labels="stable")
    (tmp_path / "empty.keras").write_bytes(b"")
    engine = loaded(tmp_path)
    assert engine.is_ready
    assert {record.name: record.state for record in engine.catalogue()} == {
        "empty": "failed",
        "good": "ready",
        "misdeclared": "failed",
    }
    assert run(engine, "good", ["dense"], pixels(1).astype(np.float32))["dense"].values.shape == (1, 2)
    with pytest.raises(ModelNotLoaded, match="wrong at labels"):
        engine.describe("misdeclared")
    engine.close()
    assert engine.catalogue() == []


def test_what_is_declared_is_what_is_told(tmp_path, tiny):
    folder = write_version(tmp_path, tiny, "good", version=2)
    undeclared = loaded(tmp_path).describe("good")
    assert undeclared.preprocessing["start"].assumed
    assert "'unit' was assumed" in undeclared.warnings[0]
    declare(folder, preprocessing={"preset": "signed"}, classes=["cat", "dog"], labels=["stable"])
    declared = loaded(tmp_path).describe("good@stable")
    assert declared.warnings == ()
    assert declared.classes == ("cat", "dog")
    assert declared.preprocessing["start"].size == (8, 8)
    assert declared.preprocessing["start"].scale == pytest.approx([1 / 127.5])
    assert declared.digest != undeclared.digest
    assert (declared.version, declared.parameters) == (2, tiny.count_params())
    assert declared.memory_bytes == 4 * tiny.count_params()


def test_a_model_that_rescales_itself_takes_pixels_as_they_are(tmp_path):
    start = keras.Input((8, 8, 3), name="start")
    inner = keras.Sequential([keras.Input((8, 8, 3)), layers.Rescaling(1 / 255)], name="scaling")
    write_version(tmp_path, keras.Model(start, layers.Flatten()(inner(start))), "scaled")
    engine = loaded(tmp_path)
    assert engine.describe("scaled").preprocessing["start"].scale == (1.0,)
