"""Files of tokenizers beside a model."""

import json
from collections.abc import Mapping
from pathlib import Path

from layerscope.errors import ModelRefused
from layerscope.models.manifest import FILE_NAME, Manifest
from layerscope.models.regular_files import NotRegular, read_record
from layerscope.text import Tokenizer, TokenizerDeclaration, kind_of


def tokenizer_file(manifest: Manifest, folder: Path) -> Path | None:
    """The file that a declaration names for its tokenizer; None if it names none.

    Raises:
        ModelRefused: there is no such file beside the declaration.
    """
    name = manifest.tokenizer.file if manifest.tokenizer is not None else None
    if name is None:
        return None
    path = folder / name
    if Path(name).name != name or not path.is_file():
        raise ModelRefused(
            f"{FILE_NAME}, tokenizer: there is no file {name!r} beside it.", field="tokenizer.file"
        )
    return path


def read_tokenizer(
    path: Path, declared: TokenizerDeclaration, inputs: Mapping[str, tuple[int | None, ...]]
) -> Tokenizer:
    """The tokenizer in a file.

    Args:
        path: the file.
        declared: its declaration.
        inputs: the shapes of the model's inputs without batch axis, by name.

    Raises:
        ModelRefused: it is no file of a tokenizer, is too long, or does not fit the model.
    """
    try:
        content = read_record(path, follow=True).decode()
        document = json.loads(content)
    except (NotRegular, ValueError, RecursionError) as error:
        raise ModelRefused(
            f"{path.name} must be JSON in UTF-8, and no longer than 16 MiB, to be the file of a tokenizer.",
            field="tokenizer.file",
        ) from error
    return Tokenizer.of(kind_of(document), content, declared, inputs)
