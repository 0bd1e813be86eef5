"""The version of the project in the files that cannot read it from `layerscope.__version__`, where it is written once."""

import re
from pathlib import Path

from layerscope import __version__

_PLACES = {
    "CITATION.cff": (r"^version: (.*)$", 1),
    "clients/python/pyproject.toml": (r'^version = "(.*)"$', 1),
    "clients/js/package.json": (r'^  "version": "(.*)",$', 1),
    "clients/js/package-lock.json": (r'^ +"version": "(.*)",$', 2),
}
"""In each file, how its version is written, and how often: a lock file goes on with the versions of others."""


def stamped(root: Path) -> dict[Path, str]:
    """The text of each of these files, with the version."""
    return {
        root / name: _with_version((root / name).read_text("utf-8"), *how) for name, how in _PLACES.items()
    }


def _with_version(text: str, pattern: str, times: int) -> str:
    whole, found = re.subn(
        pattern, lambda match: match[0].replace(match[1], __version__), text, count=times, flags=re.MULTILINE
    )
    if found != times:
        raise ValueError(f"{pattern} is there {found} times and not {times}.")
    return whole
