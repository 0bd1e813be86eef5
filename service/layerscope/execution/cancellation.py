"""Cancellation: a caller who no longer needs an answer says so, and the work on it ends early."""

import threading


class CancellationToken:
    """Tells the threads that work on a query whether its answer is still needed. Safe to use from many threads.

    A token belongs to the caller and not to the query, which is data and may be sent to another process.
    """

    def __init__(self) -> None:
        self._cancelled = threading.Event()

    @property
    def is_cancelled(self) -> bool:
        """Whether the answer is no longer needed."""
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """Declare that the answer is no longer needed. Work that has not begun is dropped."""
        self._cancelled.set()
