"""The archive of a `.keras` file: a zip with three members, and nothing hidden before, between or behind them.

A zip is read from its end, and every header may lie. A reader that believes another header than the check did would read
other bytes, so an archive must be exactly as Keras writes it.
"""

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from layerscope.errors import LayerNotAllowed, ModelTooLarge, ModelUnreadable, UnsupportedFormat
from layerscope.limits import Limits
from layerscope.models.file_kinds import kind_of_archive

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"

_MEMBERS = frozenset({CONFIG, METADATA, WEIGHTS})
_LONGEST_METADATA = 65_536
_LOCAL_HEADER, _END = 30, 22
_ENCRYPTED = 0x1
_CHUNK = 1 << 20
_STORED_AS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError, ValueError, RuntimeError)


class Archive:
    """An open `.keras` file whose members are the ones that Keras writes."""

    def __init__(self, file: zipfile.ZipFile, limits: Limits) -> None:
        self._file = file
        self._limits = limits

    def config(self) -> bytes:
        """The configuration.

        Raises:
            ModelTooLarge: it is longer than allowed.
        """
        return b"".join(self._read(CONFIG, self._limits.model_config_bytes))

    def metadata(self) -> bytes:
        """The version of Keras that wrote the file, and the date."""
        return b"".join(self._read(METADATA, _LONGEST_METADATA))

    @property
    def weights_size(self) -> int:
        """The length of the weights as the archive has it; not a byte more is inflated."""
        return self._file.getinfo(WEIGHTS).file_size

    def write_weights(self, path: Path) -> None:
        """Inflate the weights into another file."""
        with path.open("wb") as target:
            for chunk in self._read(WEIGHTS, self._limits.model_file_bytes):
                target.write(chunk)

    def _read(self, name: str, longest: int) -> Iterator[bytes]:
        """A member in chunks, counted as they are inflated: the size in the header may be wrong (a zip bomb)."""
        size = 0
        try:
            with self._file.open(name) as member:
                while chunk := member.read(_CHUNK):
                    size += len(chunk)
                    if size > longest:
                        raise ModelTooLarge(
                            f"{name} has more than the {longest:,} bytes that it may have.",
                            member=name,
                            limit=longest,
                        )
                    yield chunk
        except _DAMAGED as error:
            raise _unreadable(f"{name} in it is damaged") from error


@contextmanager
def opened(path: Path, limits: Limits) -> Iterator[Archive]:
    """Open a `.keras` file.

    Raises:
        ModelUnreadable: it is not a `.keras` file, or is damaged.
        LayerNotAllowed: it contains files for a layer that reads them.
        UnsupportedFormat: it is a SavedModel.
    """
    with path.open("rb") as raw:
        size = path.stat().st_size
        _require_end(raw, size)
        try:
            file = zipfile.ZipFile(raw)
        except _DAMAGED as error:
            raise _unreadable("Its list of members is damaged") from error
        with file:
            _require_members(file, size)
            yield Archive(file, limits)


def _require_end(raw: BinaryIO, size: int) -> None:
    raw.seek(max(0, size - _END))
    if not raw.read(_END).startswith(b"PK\x05\x06"):
        raise _unreadable("It is no zip archive, or its end is missing, or something comes behind it")
    raw.seek(0)


def _require_members(file: zipfile.ZipFile, size: int) -> None:
    members = file.infolist()
    names = [each.filename for each in members]
    if any(name.startswith("assets/") for name in names):
        raise LayerNotAllowed(
            "The model has assets, which are files for a layer that looks something up: save it without that layer.",
            path="assets",
        )
    if any(name.endswith(("saved_model.pb", "saved_model.pbtxt")) for name in names):
        raise UnsupportedFormat("It holds a SavedModel, which is a program: only an operator can serve one.")
    kind = kind_of_archive(names)
    if kind is not None:
        raise ModelUnreadable(f"The file is {kind}.")
    if sorted(names) != sorted(_MEMBERS):
        raise _unreadable(f"It must hold {', '.join(sorted(_MEMBERS))} once each, and nothing else")
    if any(each.flag_bits & _ENCRYPTED for each in members):
        raise _unreadable("It is encrypted")
    if any(each.compress_type not in _STORED_AS or each.is_dir() or _is_link(each) for each in members):
        raise _unreadable("It has a member that is no plain or deflated file")
    _require_no_gaps(file, members, size)


def _is_link(member: zipfile.ZipInfo) -> bool:
    """Whether a member is a symbolic link or a device. On Unix, the upper half of its attributes is the file mode."""
    kind = member.external_attr >> 16 & 0o170000
    return kind not in {0, 0o100000}


def _require_no_gaps(file: zipfile.ZipFile, members: list[zipfile.ZipInfo], size: int) -> None:
    """Check that members follow each other without a gap: bytes outside of members would be stored unseen.

    A member has a header of 30 bytes, its name and up to 64 bytes of extra fields. 1,100 is above the best ratio of deflate, 1,032.
    """
    ordered = sorted(members, key=lambda each: each.header_offset)
    if ordered[0].header_offset != 0:
        raise _unreadable("Something comes before its first member")
    ends = [each.header_offset for each in ordered[1:]] + [file.start_dir]
    for member, end in zip(ordered, ends, strict=True):
        room = end - member.header_offset - member.compress_size
        longest = _LOCAL_HEADER + len(member.filename.encode()) + 64
        if not _LOCAL_HEADER <= room <= longest or member.file_size > max(size, member.compress_size) * 1_100:
            raise _unreadable("Something is between its members, or they overlap")


def _unreadable(why: str) -> ModelUnreadable:
    return ModelUnreadable(
        f"The file is not a .keras file as Keras writes it. {why}: save it again with Keras 3."
    )
