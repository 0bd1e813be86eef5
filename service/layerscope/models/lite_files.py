"""The `.tflite` files that stand beside a model: what it was converted to. They are compared with a model, and never served."""

from dataclasses import replace
from pathlib import Path

from layerscope.errors import ModelNotFound
from layerscope.models.directory import ModelSource, entries_of, require_readable

SUFFIX = ".tflite"


def lite_file(source: ModelSource, name: str) -> Path:
    """The file of a name in the folder of a version.

    Args:
        source: the version.
        name: of the file, with its suffix.

    Raises:
        ModelNotFound: there is no such file.
        ModelRefused: it may not be read, or leads out of the directory of models.
    """
    files = {each.name: each for each in entries_of(source.folder) or [] if each.suffix == SUFFIX}
    if name not in files:
        version = f"{source.name}@{source.version}"
        raise ModelNotFound(
            f"There is no file {name[:80]!r} beside {version}: there {_listed(sorted(files))}.",
            model=version,
            files=sorted(files),
        )
    require_readable(replace(source, path=files[name]))
    return files[name]


def _listed(names: list[str]) -> str:
    return f"are {', '.join(names)}" if len(names) > 1 else f"is {names[0] if names else f'no {SUFFIX} file'}"
