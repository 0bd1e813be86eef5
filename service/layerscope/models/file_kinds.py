"""Kinds of files that are no Keras models, told by their first bytes and, where these tell nothing, by their names."""

import json
import zipfile
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from layerscope.models.regular_files import open_regular

_HEAD = 4_096

_CONVERT = "save the model as .keras, or export it as a SavedModel, with the program that it was made with"
_STARTS = (
    (b"version https://git-lfs", "a pointer of Git LFS and not the file itself: fetch it with git lfs pull"),
    (b"\x80\x02", "a Python pickle, as PyTorch writes it, which is code: " + _CONVERT),
    (b"\x80\x03", "a Python pickle, which is code: " + _CONVERT),
    (b"\x80\x04", "a Python pickle, which is code: " + _CONVERT),
    (b"\x80\x05", "a Python pickle, which is code: " + _CONVERT),
    (b"\x93NUMPY", "an array of NumPy: " + _CONVERT),
    (b"GGUF", "a GGUF model: Layerscope opens models of Keras and SavedModels only"),
    (b"\x1f\x8b", "a gzip archive: unpack it"),
    (b"BZh", "a bzip2 archive: unpack it"),
    (b"7z\xbc\xaf", "a 7-Zip archive: unpack it"),
    (b"\xfd7zXZ", "an xz archive: unpack it"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"%PDF", "a PDF document"),
)
_GRAPH = "the graph of a SavedModel: it belongs into a folder, as saved_model.pb, with 'variables' beside it"
_SUFFIXES = {
    ".onnx": "an ONNX model: " + _CONVERT,
    ".tflite": "a TensorFlow Lite model, which is compared with the Keras model that it was converted from: see layerscope"
    " compare",
    ".pt": "a PyTorch model: " + _CONVERT,
    ".pth": "a PyTorch model: " + _CONVERT,
    ".safetensors": "safetensors, which are weights without a model: save the whole model with model.save('model.keras')",
    ".ckpt": "a checkpoint, which has weights without a model: save the whole model with model.save('model.keras')",
    ".mlmodel": "a Core ML model: " + _CONVERT,
    ".pb": "a graph of TensorFlow without its variables: export the model as a SavedModel folder",
    ".zip": "a zip archive: unpack it",
    ".tar": "a tar archive: unpack it",
}

FOREIGN_SUFFIXES = frozenset(_SUFFIXES) - {".zip", ".tar", ".pb"}
"""Endings of the names of models that other programs open."""


def foreign_kind(path: Path) -> str | None:
    """What a file is if it is neither a `.keras` nor an HDF5 file, with advice; None if nothing tells."""
    return kind_of_content(path) or _SUFFIXES.get(path.suffix.lower())


def kind_of_content(path: Path) -> str | None:
    """As `foreign_kind`, whatever the file is called."""
    try:
        with open_regular(path, follow=True) as file:
            head = file.read(_HEAD)
    except OSError:
        return None
    if not head:
        return "empty: copy it again, or save the Keras model again with model.save('model.keras')"
    if head.startswith(b"PK\x03\x04"):
        return _of_zip(path)
    return _of_bytes(head) or _of_text(head)


def _of_bytes(head: bytes) -> str | None:
    # Protocol buffers: the first field of a SavedModel is its schema, 1; of an ONNX model its version, 3 or more.
    is_onnx = head[0] == 8 and 2 < head[1:2][0] < 32 if len(head) > 1 else False
    is_safetensors = head[8:10] == b'{"' and int.from_bytes(head[:8], "little") < 1 << 40
    told = [
        *((kind, head.startswith(start)) for start, kind in _STARTS),
        (_SUFFIXES[".tflite"], head[4:8] == b"TFL3"),
        (_SUFFIXES[".tar"], head[257:262] == b"ustar"),
        (_SUFFIXES[".safetensors"], is_safetensors),
        (_GRAPH, head[:3] == b"\x08\x01\x12"),
        (_SUFFIXES[".onnx"], is_onnx and head[2:3] in {b"\x12", b":", b"B"}),
    ]
    return next((kind for kind, is_so in told if is_so), None)


def _of_text(head: bytes) -> str | None:
    text = head.decode("utf-8", "replace").lstrip("\ufeff \t\r\n").lower()
    if text.startswith(("<!doctype html", "<html", "<head", "<?xml")):
        return "a web page and not a model: the download failed, so download the file itself"
    if not text.startswith(("{", "[")):
        return None
    if "modeltopology" in text or "layers-model" in text:
        return "a model of TensorFlow.js: save the original with model.save('model.keras')"
    with suppress(ValueError):
        json.loads(text)
        return "JSON, which has no weights: save the whole model with model.save('model.keras')"
    is_cut = len(head) == _HEAD
    return (
        "JSON, which has no weights: save the whole model with model.save('model.keras')" if is_cut else None
    )


def _of_zip(path: Path) -> str | None:
    """What an archive is that Keras has not written; None for a `.keras` file, and for one that cannot be read."""
    try:
        with zipfile.ZipFile(path) as file:
            names = file.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return None
    return kind_of_archive(names)


def kind_of_archive(names: Collection[str]) -> str | None:
    """What an archive with members of these names is; None for a `.keras` file."""
    if {"config.json", "metadata.json"} <= set(names):
        return None
    is_pickled = any(name.endswith("/data.pkl") for name in names)
    is_script = any("/code/" in name or name.endswith("/constants.pkl") for name in names)
    told = [
        ("a TorchScript model: " + _CONVERT, is_pickled and is_script),
        ("a PyTorch model: " + _CONVERT, is_pickled),
        (
            "a SavedModel in a zip archive: unpack it into a folder",
            any(name.endswith(("saved_model.pb", "saved_model.pbtxt")) for name in names),
        ),
        (
            "a zip archive with a .keras file in it: unpack it",
            any(name.endswith(".keras") for name in names),
        ),
        (
            "arrays of NumPy (.npz), which are weights without a model: save the whole model with model.save('model.keras')",
            bool(names) and all(name.endswith(".npy") for name in names),
        ),
        ("a zip archive that Keras has not written: save the model with model.save('model.keras')", True),
    ]
    return next(kind for kind, is_so in told if is_so)
