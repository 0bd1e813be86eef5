"""Model files that somebody made to break what reads them: a good one with some part of it changed."""

import io
import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import h5py

from layerscope.limits import Limits
from layerscope.models.validation.examination import examine
from layerscope.models.validation.report import Report

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"


def examined(path: Path, limits: Limits | None = None) -> Report:
    """What `check` finds out, in this process: where a process for each would take too long."""
    with tempfile.TemporaryDirectory() as folder:
        return examine(path, Path(folder) / f"fresh{path.suffix}", limits or Limits())


_FORKS = """
import os, sys
from layerscope.models.validation import examination, worker

for request in sys.stdin:
    child = os.fork()
    if not child:
        with open(request.strip()) as sys.stdin, open(request.strip() + ".answer", "w") as sys.stdout:
            worker.main()
        os._exit(0)
    print(os.waitpid(child, 0)[1], flush=True)
"""


@contextmanager
def forked_workers(folder: Path, limits: Limits) -> Iterator[Callable[[Path], dict[str, Any] | int]]:
    """The process that examines files, forked for each from one that has imported all it needs.

    A call gives the answer of the worker, or the signal that ended it: HDF5 takes its process along at some files.
    """
    with subprocess.Popen(
        [sys.executable, "-c", _FORKS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        requests, statuses = process.stdin, process.stdout

        def ask(path: Path) -> dict[str, Any] | int:
            request, target = folder / "request", folder / f"fresh{path.suffix}"
            about = {"path": str(path), "target": str(target), "limits": asdict(limits)}
            request.write_text(json.dumps(about), "utf-8")
            print(request, file=requests, flush=True)
            status = int(statuses.readline())
            answer = Path(f"{request}.answer").read_text("utf-8")
            return status or dict(json.loads(answer))

        yield ask
        requests.close()


def parts_of(path: Path) -> dict[str, bytes]:
    """The members of a .keras file by name."""
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist()}


def write_parts(path: Path, parts: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, data in parts.items():
            file.writestr(name, data)
    return path


def with_config(path: Path, edit: Callable[[Any], Any] | bytes) -> Path:
    """The file with another configuration: bytes, or what an edit makes of the one it has."""
    if path.suffix != ".keras":
        with h5py.File(path, "r+") as file:
            config = json.loads(file.attrs["model_config"])
            if isinstance(edit, bytes):
                file.attrs["model_config"] = edit
            else:
                file.attrs["model_config"] = json.dumps(edit(config) or config)
        return path
    parts = parts_of(path)
    if isinstance(edit, bytes):
        parts[CONFIG] = edit
    else:
        config = json.loads(parts[CONFIG])
        parts[CONFIG] = json.dumps(edit(config) or config).encode()
    return write_parts(path, parts)


def with_weights(path: Path, edit: Callable[[h5py.File], None]) -> Path:
    """The file with something done to its weights."""
    if path.suffix != ".keras":
        with h5py.File(path, "r+") as file:
            edit(file)
        return path
    parts = parts_of(path)
    stored = io.BytesIO(parts[WEIGHTS])
    with h5py.File(stored, "r+") as file:
        edit(file)
    parts[WEIGHTS] = stored.getvalue()
    return write_parts(path, parts)


def layers(config: Any) -> list[Any]:
    return config["config"]["layers"]


def layer_called(config: Any, name: str) -> Any:
    return next(each for each in layers(config) if each["config"]["name"] == name)
