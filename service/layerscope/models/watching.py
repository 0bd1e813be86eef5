"""Changes of the files in a directory of models, found by comparing two looks at it."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from layerscope.models.directory import FETCHED, Key, ModelSource
from layerscope.models.ledger import LEDGER

Fingerprint = tuple[tuple[str, int, int, int], ...]


@dataclass(frozen=True)
class Changes:
    """The versions whose files are new or changed since they were taken, and the versions that are gone."""

    changed: list[ModelSource]
    gone: list[ModelSource]


class DirectoryWatch:
    """Compares the files of versions by path, modification time, size and inode.

    A change counts only when two looks in a row find the same files, so that files that are still being copied are not
    opened.
    """

    def __init__(self) -> None:
        self._taken: dict[Key, tuple[ModelSource, Fingerprint]] = {}
        self._seen: dict[Key, Fingerprint] = {}

    def take(self, source: ModelSource) -> None:
        """Remember the files of a version as they are now."""
        self._taken[source.name, source.version] = source, _fingerprint(source)

    def look(self, sources: Iterable[ModelSource]) -> Changes:
        """Compare the files with those that were taken, and with the last look. A version that is gone is forgotten."""
        found = {(each.name, each.version): each for each in sources}
        now = {key: _fingerprint(each) for key, each in found.items()}
        taken = {key: fingerprint for key, (_, fingerprint) in self._taken.items()}
        changed = [
            each
            for key, each in found.items()
            if now[key] == self._seen.get(key) and now[key] != taken.get(key)
        ]
        gone = [self._taken.pop(key)[0] for key in taken.keys() - found.keys()]
        self._seen = now
        return Changes(changed, gone)


def _fingerprint(source: ModelSource) -> Fingerprint:
    found = []
    notes = {source.folder / LEDGER, source.folder / FETCHED}
    for path in {*_files(source.path, "**/*"), *_files(source.folder, "*")} - notes:
        with suppress(OSError):
            status = path.stat()
            found.append((str(path), status.st_mtime_ns, status.st_size, status.st_ino))
    return tuple(sorted(found))


def _files(path: Path, pattern: str) -> Iterator[Path]:
    with suppress(OSError):
        if path.is_dir():
            yield from (each for each in path.glob(pattern) if not each.is_dir())
        else:
            yield path
