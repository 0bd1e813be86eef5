"""Files that are refused, and what each gets from a model directory and from a check: the rows of a table in docs/how-to/models.md.

Run as a script, it writes the table into the page.
"""

import io
import logging
import re
import tempfile
import zipfile
from pathlib import Path

import h5py
import keras
from keras import layers

from layerscope.errors import LayerscopeError
from layerscope.graph.loading.prepare import prepare
from layerscope.graph.loading.trial import try_file
from layerscope.limits import Limits
from layerscope.models.directory import find_models
from layerscope.models.misplaced import find_misplaced

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "models.md"
TABLE = re.compile(r"(?<=<!-- refused files -->\n).*?(?=<!-- /refused files -->)", re.DOTALL)


def archive(**members):
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as file:
        for name, content in members.items():
            file.writestr(name.replace("__", "/"), content)
    return target.getvalue()


def saved(model, suffix=".keras"):
    keras.utils.clear_session(free_memory=False)
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / f"model{suffix}")
        return (Path(folder) / f"model{suffix}").read_bytes()


def plain():
    start = keras.Input((4,), name="start")
    return keras.Model(start, layers.Dense(2, name="dense")(start), name="plain")


def edited(edit):
    """A file whose configuration was changed, as text."""
    source = io.BytesIO(saved(plain()))
    with zipfile.ZipFile(source) as file:
        members = {name: file.read(name) for name in file.namelist()}
    members["config.json"] = edit(members["config.json"].decode()).encode()
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    return target.getvalue()


def weights():
    target = io.BytesIO()
    with h5py.File(target, "w") as file:
        file["dense/kernel"] = [1.0]
    return target.getvalue()


def with_lambda():
    start = keras.Input((4,))
    return keras.Model(start, layers.Lambda(lambda x: x * 2, name="twice")(start))


KERAS_FILE = "m/1/model.keras"
PLUGIN = {"m/1/model.keras": saved(plain()), "m/1/layerscope.json": '{"plugins": ["own.py"]}'}
FILES = {
    "an ONNX model": {"m/1/model.onnx": b"\x08\x08\x12\x07pytorch:\x00"},
    "a TensorFlow Lite model": {"m.tflite": b"\x1c\x00\x00\x00TFL3"},
    "a TorchScript model": {"m/1/model.pt": archive(model__data="", model__code__m="", **{"model/data.pkl": ""})},
    "safetensors": {"m/1/model.safetensors": (2).to_bytes(8, "little") + b'{"}'},
    "a web page under another name": {KERAS_FILE: b"<!DOCTYPE html><html>Not found"},
    "a pointer of Git LFS": {KERAS_FILE: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"},
    "a configuration as JSON": {KERAS_FILE: b'{"class_name": "Sequential"}'},
    "a SavedModel in an archive": {KERAS_FILE: archive(**{"m/saved_model.pb": b"\x08\x01\x12"})},
    "a file of no bytes": {KERAS_FILE: b""},
    "half a file": {KERAS_FILE: saved(plain())[:2000]},
    "HDF5 under another name": {KERAS_FILE: saved(plain(), ".h5")},
    "weights alone": {"m/1/model.weights.h5": weights()},
    "weights alone, as a model": {"m/1/model.h5": weights()},
    "a name of its own": {"m/1/classifier.keras": saved(plain())},
    "no version": {"m/model.keras": saved(plain())},
    "a version that is no number": {"m/v1/model.keras": saved(plain())},
    "an empty version": {"m/1/": b""},
    "a `Lambda` layer": {KERAS_FILE: saved(with_lambda())},
    "a class of one's own": {KERAS_FILE: edited(lambda text: text.replace('"class_name": "Dense"', '"class_name": "Own"', 1).replace('"module": "keras.layers", "class_name": "Own"', '"module": "own.layers", "class_name": "Own"'))},
    "an argument of another version": {KERAS_FILE: edited(lambda text: text.replace('"units": 2', '"units": 2, "invented": 1'))},
    "a model that was never called": {KERAS_FILE: saved(keras.Sequential([layers.Dense(2)], name="never"))},
    "a plugin that needs a package": {**PLUGIN, "m/1/own.py": "import not_installed"},
    "a declaration that is wrong": {KERAS_FILE: saved(plain()), "m/1/layerscope.json": '{"plugin": "own.py"}'},
}  # fmt: skip
"""By what it is: the files, by their paths in a model directory."""


def row(folder, name):
    """The cells of a row."""
    for path, content in FILES[name].items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        if path.endswith("/"):
            (folder / path).mkdir()
        else:
            (folder / path).write_bytes(content if isinstance(content, bytes) else content.encode())
    first = next(iter(FILES[name]))
    checked = "" if first.endswith("/") else told(lambda: try_file(folder / first, Limits()))
    return f"{name}: `{first}`", told(lambda: opened(folder)), checked or "accepted"


def opened(folder):
    """Open the only model of a directory.

    Raises:
        LayerscopeError: that is refused.
    """
    sources = find_models(folder)
    for problem in find_misplaced(folder, [each.key for each in sources]).values():
        raise problem
    for source in sources:
        prepare(source)


def told(action):
    try:
        action()
    except LayerscopeError as error:
        return error.message
    return ""


def page_lines():
    yield "| file | in a model directory | checked or uploaded |"
    yield "|---|---|---|"
    for name in FILES:
        with tempfile.TemporaryDirectory() as folder:
            cells = [cell.replace("|", "\\|") for cell in row(Path(folder), name)]
        yield f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    logging.disable()
    text = "\n".join(page_lines()) + "\n"
    PAGE.write_text(TABLE.sub(lambda _: text, PAGE.read_text("utf-8")), "utf-8")
