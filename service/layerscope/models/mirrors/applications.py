"""An architecture of keras.applications as a remote place: a declaration, and the weights that Keras downloads."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from layerscope.errors import ModelRefused, SourceUnreachable
from layerscope.limits import MIB
from layerscope.models.directory import Key
from layerscope.models.manifest import FILE_NAME
from layerscope.models.mirrors.places import File, Files
from layerscope.models.mirrors.pretrained import REFUSED

Weights = Literal["none", "imagenet"]
"""`none`: random weights, from a fixed seed; `imagenet`: those that Keras downloads."""

PREFIX = "keras.applications:"

_WEIGHTS_FILE = "imagenet.weights.h5"
_SECONDS = 0.2


class Application:
    """One architecture, as version 1 of a model with its name in small letters.

    Args:
        architecture: as `keras.applications` calls it.
        weights: which weights it has.
    """

    def __init__(self, architecture: str, weights: Weights) -> None:
        self.name = f"{PREFIX}{architecture} with weights={weights}"
        self._architecture = architecture
        self._weights = weights

    def versions(self) -> dict[Key, Files]:
        """The only version."""
        declaration = self._declaration().decode()
        files = {FILE_NAME: File(FILE_NAME, None, declaration)}
        if self._weights == "imagenet":
            files[_WEIGHTS_FILE] = File(_WEIGHTS_FILE, None, f"keras {version('keras')}")
        return {(self._architecture.lower(), 1): files}

    def read(self, file: File) -> Iterator[bytes]:
        """The declaration, or the weights, which Keras downloads in another process.

        Raises:
            SourceUnreachable: Keras cannot download them.
            ModelRefused: there is no such architecture.
        """
        if file.address == FILE_NAME:
            yield self._declaration()
            return
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / _WEIGHTS_FILE
            yield from self._download(path)
            with path.open("rb") as weights:
                while chunk := weights.read(MIB):
                    yield chunk

    def _declaration(self) -> bytes:
        weights = "random" if self._weights == "none" else _WEIGHTS_FILE
        return json.dumps({"architecture": self._architecture, "weights": weights}).encode()

    def _download(self, path: Path) -> Iterator[bytes]:
        """Empty chunks while the download runs, so that the caller can cancel it between two of them."""
        command = [
            sys.executable,
            "-P",
            "-m",
            "layerscope.models.mirrors.pretrained",
            self._architecture,
            str(path),
        ]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - a name of letters
            try:
                while _goes_on(process):
                    yield b""
            finally:
                process.kill()
            output = process.stdout.read() if process.stdout else ""
        if process.returncode == REFUSED:
            raise ModelRefused(output.strip())
        if process.returncode != 0:
            raise SourceUnreachable(
                f"Keras cannot download the imagenet weights of {self._architecture}: see the log."
            )


def _goes_on(process: subprocess.Popen[str]) -> bool:
    try:
        process.wait(_SECONDS)
    except subprocess.TimeoutExpired:
        return True
    return False
