"""Models that lie elsewhere, mirrored to a directory of models on this machine."""

import hashlib
import os
import re
from pathlib import Path

from layerscope.limits import Limits
from layerscope.models.mirrors.applications import PREFIX, Application, Weights
from layerscope.models.mirrors.filesystems import Filesystem
from layerscope.models.mirrors.mirror import Mirror

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*(://|::)\S")
_APPLICATION = re.compile(rf"{re.escape(PREFIX)}[A-Za-z0-9]{{1,64}}")


def is_elsewhere(source: str) -> bool:
    """Whether models must be fetched from there, and it is no directory of this machine."""
    return any(kind.match(source) for kind in (_URL, _APPLICATION))


def mirror_of(source: str, cache: Path | None, limits: Limits, weights: Weights = "none") -> Mirror:
    """A mirror in a folder of its own.

    Args:
        source: a URL that fsspec understands, or `keras.applications:NAME`.
        cache: where mirrors are kept; None for `layerscope` in the user's cache.
        limits: see `Mirror`.
        weights: those of an architecture of Keras.

    Raises:
        OptionInvalid: what reaches it is not installed, or nothing does.
        StorageFull, ControlRefused: the mirror cannot be made, see `storing`.
    """
    cache = cache or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "layerscope"
    is_application = _APPLICATION.fullmatch(source)
    place = Application(source.removeprefix(PREFIX), weights) if is_application else Filesystem(source)
    digest = hashlib.sha256(place.name.encode()).hexdigest()[:16]
    return Mirror(place, cache / f"models-{digest}", limits)
