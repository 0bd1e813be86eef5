"""The open connections of a process: bounded below the number of files that it may open, so that a new one is always accepted."""

import asyncio
import errno
import logging
import resource
import time
from collections import OrderedDict
from typing import Any, Protocol

logger = logging.getLogger(__name__)

_SHARE_OF_FILES = 3, 4
"""The part of the files that connections may have; models, plugins and temporary files need the rest."""

_OUT_OF_FILES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_QUIET_SECONDS = 60


class Connection(Protocol):
    """A connection, as far as it is asked when one must go."""

    @property
    def is_idle(self) -> bool:
        """Whether it has no request, or not the whole head of one."""

    @property
    def waits_for_client(self) -> bool:
        """Whether nothing is done for it, until its client sends or takes something."""

    def give_up(self) -> None:
        """Close it at once, whatever is left of a request."""


class Connections:
    """The connections of a process, in the order in which something last came on them.

    Args:
        most: how many there may be; never more than three quarters of the files that the process may open.
    """

    def __init__(self, most: int) -> None:
        taken, of = _SHARE_OF_FILES
        self._most = min(most, resource.getrlimit(resource.RLIMIT_NOFILE)[0] * taken // of)
        self._open: OrderedDict[Connection, None] = OrderedDict()

    def add(self, connection: Connection) -> None:
        """Add a new one. Where there are too many, the one that was idle for longest is given up.

        If none is idle, it is the one whose client has kept the service waiting for longest within a request; if the
        service is busy for all of them, it is the new one.
        """
        self._open[connection] = None
        if len(self._open) > self._most:
            least = self._least_needed()
            # At once: it tells of its end only later, after further connections.
            self.remove(least)
            least.give_up()

    def note(self, connection: Connection) -> None:
        """Note that something came on a connection."""
        self._open.move_to_end(connection)

    def remove(self, connection: Connection) -> None:
        """Remove one that is closed."""
        self._open.pop(connection, None)

    def _least_needed(self) -> Connection:
        # The new one is the last, and idle.
        idle = [each for each in self._open if each.is_idle]
        if len(idle) > 1:
            return idle[0]
        return next(each for each in self._open if each.waits_for_client)


class ExceptionHandler:
    """The exception handler of an event loop: that there are no files is one line in a minute, without a traceback.

    The loop reports each connection that it cannot accept, which would be thousands of tracebacks in a second.
    """

    def __init__(self) -> None:
        self._said: float | None = None

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Log what went wrong."""
        error = context.get("exception")
        if not (isinstance(error, OSError) and error.errno in _OUT_OF_FILES):
            loop.default_exception_handler(context)
        elif self._said is None or time.monotonic() - self._said >= _QUIET_SECONDS:
            self._said = time.monotonic()
            logger.error("no connection can be accepted for now: %s", error.strerror)
