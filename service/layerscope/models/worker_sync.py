"""The agreement between worker processes that serve the same models: what one of them changed, the others carry out.

This module has what a library needs to know of it: the commands, and a protocol to publish and follow them. How commands
reach other processes is not decided here; the service carries them over sockets.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from layerscope.models.directory import Key

Kind = Literal["load", "unload", "remove", "labels"]

Subject = tuple[bool, Key]
"""What a command is about: a version, or the labels of a model. Only the last command about a subject counts."""


@dataclass(frozen=True)
class Command:
    """A change of one version of a model, or of a model's labels.

    Attributes:
        kind: `load` as the files are now; `unload`, also for a version that is in the directory and not loaded; `remove`
            for one whose files are gone; `labels` for labels that were written to the model's ledger.
        name: the model.
        version: its version; 0 for labels.
    """

    kind: Kind
    name: str
    version: int = 0

    @property
    def key(self) -> Key:
        """The model's name and version."""
        return self.name, self.version

    @property
    def subject(self) -> Subject:
        """What it is about."""
        return self.kind == "labels", self.key

    @property
    def is_kept_on_disk(self) -> bool:
        """Whether a process that starts later finds the result in the directory of models, and needs no command."""
        return self.kind in {"remove", "labels"}


class WorkerSync(Protocol):
    """The other workers, as one of them sees them. Safe to use from many threads."""

    @property
    def has_peers(self) -> bool:
        """Whether there are other workers."""

    @property
    def is_leader(self) -> bool:
        """Whether this worker is the one that polls the directory of models, for all of them."""

    @property
    def is_late(self) -> bool:
        """Whether workers served already when this one was started, as the replacement of one that ended."""

    def wait_for_leader(self) -> None:
        """Wait until a first worker has loaded its models, or `close` is called. The leader does not wait."""

    def follow(self, apply: Callable[[Command], None]) -> None:
        """Apply the last command about each subject, then return, and apply in a thread what peers publish."""

    def publish(self, *commands: Command) -> None:
        """Have all peers apply what was applied here, in this order."""

    def wait_for_peers(self) -> None:
        """Wait until the peers have applied all that was published here, have ended, or two minutes are over."""

    def close(self) -> None:
        """Stop following, and let all calls that wait return."""


class SingleProcess:
    """The `WorkerSync` of a service with one process: there is no other worker to publish to or to wait for."""

    has_peers = False
    is_leader = True
    is_late = False

    def wait_for_leader(self) -> None:
        """Return at once."""

    def follow(self, apply: Callable[[Command], None]) -> None:
        """Do nothing."""

    def publish(self, *commands: Command) -> None:
        """Do nothing."""

    def wait_for_peers(self) -> None:
        """Return at once."""

    def close(self) -> None:
        """Do nothing."""


SINGLE_PROCESS = SingleProcess()
