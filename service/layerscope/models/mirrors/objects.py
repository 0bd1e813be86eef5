"""Objects in a bucket that a service reads and writes itself, through fsspec: `s3://`, `gs://`, `az://`, `memory://`."""

from layerscope.errors import SourceUnreachable
from layerscope.models.mirrors.filesystems import filesystem_at
from layerscope.models.mirrors.places import reaching


class BucketObjects:
    """The objects below a URL, by name. Safe to use from many threads. Each appears whole, by one PUT.

    Args:
        url: as fsspec understands it.
        option: that the URL was given for.

    Raises:
        OptionInvalid: fsspec, or the driver of the protocol, is not installed, or there is no such protocol.
    """

    def __init__(self, url: str, option: str) -> None:
        self._filesystem, root, self._name = filesystem_at(url, option)
        self._root = root.rstrip("/")

    def written(self, name: str) -> float:
        """When an object was written, in seconds since 1970.

        Raises:
            FileNotFoundError: there is none.
            SourceUnreachable: the bucket cannot be read.
        """
        with reaching(self._name):
            return float(self._filesystem.modified(self._path(name)).timestamp())

    def read(self, name: str) -> bytes:
        """The content of an object; see `written`."""
        with reaching(self._name):
            data: bytes = self._filesystem.cat_file(self._path(name))
        return data

    def write(self, name: str, data: bytes) -> None:
        """Write an object, in place of what there was.

        Raises:
            SourceUnreachable: the bucket cannot be written to.
        """
        try:
            with reaching(self._name, "written"):
                self._filesystem.pipe_file(self._path(name), data)
        except FileNotFoundError as error:
            raise SourceUnreachable(f"{self._name} cannot be written: there is no such bucket.") from error

    def delete(self, name: str) -> None:
        """Delete an object; see `written`."""
        with reaching(self._name, "written"):
            self._filesystem.rm_file(self._path(name))

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"
