"""Formats of parts: each module writes the images of a shard, with the job that they belong to."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from layerscope.errors import OptionInvalid
from layerscope.extraction.formats.part import Part
from layerscope.extraction.job import PartFormat

__all__ = ["Part", "writer_of"]

Writer = Callable[[Path, Part], None]

_EXTRAS = {"parquet": "extract", "zarr": "zarr"}


def writer_of(form: PartFormat) -> Writer:
    """The function that writes a part to a path.

    Raises:
        OptionInvalid: the package that it needs is not installed.
    """
    try:
        module = import_module(f"layerscope.extraction.formats.{form}_part")
    except ModuleNotFoundError as error:
        raise OptionInvalid(
            f"format={form} needs the Python module {error.name}: install layerscope[{_EXTRAS[form]}], or use safetensors or npy.",
            option="format",
        ) from error
    writer: Writer = module.write
    return writer
