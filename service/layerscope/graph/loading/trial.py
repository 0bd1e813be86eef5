"""Trial of a model file: everything that an upload of it would go through, and nothing is kept."""

import tempfile
from pathlib import Path

from layerscope.graph.loading.loader import SHARED_LOADER
from layerscope.limits import Limits
from layerscope.models.bounds import OpeningBounds
from layerscope.models.directory import ModelSource
from layerscope.models.durable import storing
from layerscope.models.validation import Report, validate


def try_file(path: Path, limits: Limits) -> Report:
    """Validate a model file, and open a fresh file of the checked parts in a bounded process.

    Raises:
        ModelRefused: it is no data, or cannot be opened.
        UnsupportedFormat: the format is not supported.
        LoaderFailed: the process that opens models has ended.
        StorageFull: there is no room for temporary files.
    """
    with storing(), tempfile.TemporaryDirectory(prefix="layerscope-check-") as folder:
        fresh = Path(folder) / f"model{path.suffix}"
        report = validate(path, fresh, limits)
        SHARED_LOADER.load(ModelSource("checked", 1, fresh, Path(folder), bounds=OpeningBounds.of(limits)))
        return report
