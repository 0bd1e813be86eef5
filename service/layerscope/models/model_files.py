"""Model files: what makes a model besides the software that opens it, and the digest that names it."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from layerscope.models.architectures import weights_file
from layerscope.models.directory import ModelSource
from layerscope.models.manifest import FILE_NAME, Manifest
from layerscope.models.plugins import plugin_files
from layerscope.models.tokenizer_files import tokenizer_file


@dataclass(frozen=True)
class ModelFiles:
    """The files of a model that can be read, see `require_readable`.

    Attributes:
        manifest: its declaration.
        plugins: its Python files.
        tokenizer: the file of its tokenizer, if it has one.
        digest: SHA-256 over the model's file, declaration, plugins, weights and tokenizer: another declaration is another model.
    """

    manifest: Manifest
    plugins: list[Path]
    tokenizer: Path | None
    digest: str

    @classmethod
    def of(cls, source: ModelSource) -> "ModelFiles":
        """Find the files of a model, and read all of them.

        Raises:
            ModelRefused: the declaration is wrong, or names a file that is not there.
        """
        manifest = Manifest.read(source.folder)
        plugins = plugin_files(source.folder, manifest.plugins)
        weights = weights_file(manifest, source.folder)
        tokenizer = tokenizer_file(manifest, source.folder)
        parts = [source.folder / FILE_NAME, source.path, *plugins]
        parts += [each for each in (weights, tokenizer) if each is not None]
        return cls(manifest, plugins, tokenizer, _digest(parts))

    @property
    def runs_code(self) -> bool:
        """Whether opening the model runs code that comes with it, which may read or import anything."""
        return bool(self.plugins) or self.manifest.trust_code


def _digest(parts: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in parts:
        for each in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if each.is_file():
                digest.update(each.relative_to(path).as_posix().encode())
                with each.open("rb") as file:
                    digest.update(hashlib.file_digest(file, "sha256").digest())
    return f"sha256-{digest.hexdigest()}"
