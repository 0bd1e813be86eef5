"""Places for models that tell what is read of them, and fail when they are told to."""

from dataclasses import dataclass, field

from fsspec.implementations.memory import MemoryFileSystem

from layerscope.errors import SourceUnreachable
from layerscope.models.directory import find_models
from layerscope.models.mirrors.filesystems import Filesystem
from layerscope.models.mirrors.places import File

URL = "memory://bucket/models"


@dataclass
class Bucket:
    """A place in memory.

    Attributes:
        read_paths: what was read, in order, from the folder of the models on.
        is_away: it cannot be read at all.
        meanwhile: is called after each piece that is read.
        pieces: the bytes of a piece.
    """

    name: str = "bucket"
    read_paths: list[str] = field(default_factory=list)
    is_away: bool = False
    meanwhile: object = lambda: None
    pieces: int = 4
    tells_sizes: bool = True

    def put(self, path, content=b"one"):
        MemoryFileSystem().pipe(f"/bucket/models/{path}", content)

    def remove(self, path):
        MemoryFileSystem().rm(f"/bucket/models/{path}")

    def versions(self):
        self._answer()
        found = Filesystem(URL).versions()
        if self.tells_sizes:
            return found
        return {
            key: {path: File(each.address, None, None) for path, each in files.items()}
            for key, files in found.items()
        }

    def read(self, file):
        self._answer()
        self.read_paths.append(file.address.removeprefix("/bucket/models/"))
        for content in Filesystem(URL).read(file):
            for start in range(0, len(content), self.pieces):
                yield content[start : start + self.pieces]
                self.meanwhile()
                self._answer()

    def taken(self):
        """What was read since this was asked last."""
        paths, self.read_paths = self.read_paths, []
        return paths

    def _answer(self):
        if self.is_away:
            raise SourceUnreachable("The bucket is away.")


def contents(directory):
    """What would be loaded from a directory: the files of each version."""
    return {
        f"{each.name}@{each.version}": {
            path.relative_to(each.folder).as_posix(): path.read_bytes()
            for path in sorted(each.folder.rglob("*"))
            if path.is_file() and path.name != "fetched.json"
        }
        for each in find_models(directory)
    }
