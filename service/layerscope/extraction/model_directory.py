"""The models of a job: a directory of this machine, or a source elsewhere, which is mirrored as `serve` does."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from layerscope import demo
from layerscope.errors import OptionInvalid
from layerscope.graph.loading.prepared_files import PreparedFiles
from layerscope.limits import Limits
from layerscope.models.mirrors import is_elsewhere, mirror_of
from layerscope.models.mirrors.applications import PREFIX


def named_for_all(models: Path | str | None) -> str | None:
    """A name of the models that other processes, also of other machines, understand; None for the demo model's.

    Raises:
        OptionInvalid: there is no such directory, or it has no weights.
    """
    if models is None:
        return None
    if is_elsewhere(str(models)):
        if str(models).startswith(PREFIX):
            raise OptionInvalid(
                f"{models} is an architecture without weights: save a model, and give its directory.",
                option="models",
            )
        return str(models)
    if not Path(models).is_dir():
        raise OptionInvalid(f"There is no directory {models}.", option="models")
    return str(Path(models).absolute())


@contextmanager
def model_directory(models: str | None, prepared: PreparedFiles | None, limits: Limits) -> Iterator[Path]:
    """The directory that has the models while the block runs.

    Args:
        models: see `named_for_all`.
        prepared: where opened models are kept. Fetched ones are kept beside it, as those of `serve` are; else they are deleted.
        limits: what a model that is fetched may have.

    Raises:
        SourceUnreachable: they cannot be fetched.
    """
    if models is None:
        yield demo.MODELS
    elif not is_elsewhere(models):
        yield Path(models)
    else:
        with tempfile.TemporaryDirectory(prefix="layerscope-") as folder:
            mirror = mirror_of(models, Path(folder) if prepared is None else prepared.folder.parent, limits)
            mirror.refresh()
            yield mirror.directory
