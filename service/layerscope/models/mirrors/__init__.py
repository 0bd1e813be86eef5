"""Models that lie elsewhere, mirrored to a directory of models on this machine."""

import hashlib
import os
import re
from pathlib import Path

from layerscope.limits import Limits
from layerscope.models.mirrors.filesystems import Filesystem
from layerscope.models.mirrors.mirror import Mirror

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*(://|::)\S")


def is_elsewhere(source: str) -> bool:
    """Whether models must be fetched from there, and it is no directory of this machine."""
    return _URL.match(source) is not None


def mirror_of(source: str, cache: Path | None, limits: Limits) -> Mirror:
    """A mirror in a folder of its own.

    Args:
        source: a URL that fsspec understands.
        cache: where mirrors are kept; None for `layerscope` in the user's cache.
        limits: see `Mirror`.

    Raises:
        OptionInvalid: what reaches it is not installed, or nothing does.
        StorageFull, ControlRefused: the mirror cannot be made, see `storing`.
    """
    cache = cache or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "layerscope"
    digest = hashlib.sha256(source.encode()).hexdigest()[:16]
    return Mirror(Filesystem(source), cache / f"models-{digest}", limits)
