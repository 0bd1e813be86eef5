"""API keys: the client has a random token, and a file of the service has its hash."""

import fcntl
import hashlib
import hmac
import logging
import os
import secrets
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from layerscope.models.regular_files import read_record

logger = logging.getLogger(__name__)

_PREFIX = "ls"
_SECRET_BYTES = 32


class KeyScope(StrEnum):
    """What a key allows."""

    INFER = "infer"
    MODELS_WRITE = "models:write"
    JOBS_WRITE = "jobs:write"
    DATASETS_WRITE = "datasets:write"
    METRICS = "metrics"


class Key(BaseModel):
    """One key in the file.

    The hash is a plain SHA-256. Slow hashes protect passwords, because passwords can be guessed. A token is 256 random
    bits, which cannot be guessed, and it is hashed in every request.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    label: str
    scopes: frozenset[KeyScope]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    created: AwareDatetime
    expires: AwareDatetime | None = None

    @property
    def has_expired(self) -> bool:
        """Whether the key has expired."""
        return self.expires is not None and self.expires <= datetime.now(UTC)


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid")

    keys: list[Key]


class KeysUnreadable(Exception):
    """The file is not a file of keys as `layerscope keys create` writes it."""


class KeyFile:
    """The file of keys, for the commands that manage them. Changes are atomic, and only one is made at a time.

    Args:
        path: the file. The first `create` makes it, readable by its owner only.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> list[Key]:
        """Every key, in the order of their creation; none if there is no file.

        Raises:
            KeysUnreadable: the file is not a file of keys.
        """
        try:
            return _Document.model_validate_json(read_record(self._path, follow=True)).keys
        except FileNotFoundError:
            return []
        except (ValidationError, OSError) as error:
            raise KeysUnreadable(f"{self._path} is not a file of API keys.") from error

    def create(
        self, label: str, scopes: Sequence[KeyScope], lifetime: timedelta | None = None
    ) -> tuple[Key, str]:
        """Add a key. Its token is returned and not stored, so it cannot be shown again.

        Raises:
            KeysUnreadable: the file is not a file of keys.
        """
        now = datetime.now(UTC).replace(microsecond=0)
        key_id = secrets.token_hex(4)
        token = f"{_PREFIX}_{key_id}_{secrets.token_urlsafe(_SECRET_BYTES)}"
        key = Key(
            id=key_id,
            label=label,
            scopes=frozenset(scopes),
            sha256=_digest(token),
            created=now,
            expires=None if lifetime is None else now + lifetime,
        )
        with self._changing():
            self._write([*self.read(), key])
        return key, token

    def revoke(self, key_id: str) -> bool:
        """Remove a key. Returns whether there was a key with that id.

        Raises:
            KeysUnreadable: the file is not a file of keys.
        """
        with self._changing():
            keys = self.read()
            left = [key for key in keys if key.id != key_id]
            if len(left) < len(keys):
                self._write(left)
        return len(left) < len(keys)

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Allow one change at a time. The folder is locked, because the file itself is replaced by a new one."""
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
            os.fsync(folder)
        finally:
            os.close(folder)

    def _write(self, keys: list[Key]) -> None:
        document = _Document(keys=keys).model_dump_json(indent=2)
        descriptor, name = tempfile.mkstemp(dir=self._path.parent, prefix=f".{self._path.name}.")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(document + "\n")
                file.flush()
                os.fsync(descriptor)
            Path(name).replace(self._path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


class Keyring:
    """The valid keys. The file is read again when it has changed, so that a revoked key is refused at once.

    If the file is missing or damaged, every key is refused.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._keys: dict[str, Key] = {}
        self._seen: tuple[int, int, int] | None = None

    def __len__(self) -> int:
        """The number of keys that have not expired."""
        self._refresh()
        return sum(not key.has_expired for key in self._keys.values())

    def find(self, token: str) -> Key | None:
        """The key of a token; None if it is unknown or has expired."""
        self._refresh()
        key = self._keys.get(token[len(_PREFIX) + 1 :].partition("_")[0])
        if key is None or not hmac.compare_digest(_digest(token), key.sha256) or key.has_expired:
            return None
        return key

    def _refresh(self) -> None:
        try:
            status = self._path.stat()
            seen = (status.st_mtime_ns, status.st_ino, status.st_size)
        except OSError:
            seen = (0, 0, 0)
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self._keys = {key.id: key for key in KeyFile(self._path).read()}
        except KeysUnreadable:
            logger.exception("no API key is accepted")
            self._keys = {}


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
