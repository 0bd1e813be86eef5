"""The decision about a change that its caller waits for: it is made, or given up, and never both."""

import threading

from layerscope.errors import DeadlineExceeded


class Commit:
    """The decision about one change. Whoever comes first decides: the thread that makes it, or the caller that gives it up."""

    def __init__(self) -> None:
        self._deciding = threading.Lock()
        self._is_made: bool | None = None

    def make(self) -> None:
        """Decide, immediately before the change becomes visible, that it is made.

        Raises:
            DeadlineExceeded: the caller has given it up.
        """
        with self._deciding:
            if self._is_made is False:
                raise DeadlineExceeded("The change was given up before it was made.")
            self._is_made = True

    def give_up(self) -> bool:
        """Decide that the change is not made; False if it is made already, or is being made."""
        with self._deciding:
            if not self._is_made:
                self._is_made = False
            return not self._is_made
