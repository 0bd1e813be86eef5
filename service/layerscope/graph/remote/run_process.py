"""Run process: where runs go that may take too long, so that they can be ended.

    service ── calls ──▶ run process: the same models, in the same memory
            ◀ answers ──
            ── start, end ──▶ run server: forks the run process, and forks it again after it was ended

TensorFlow ends a run nowhere but between the steps of some loops: not within an operation, and not between those outside of
loops. Nor can a thread be ended. So a run that takes too long is ended with its process, and a new process opens its models
again with the next call: that takes 0.25 s for a small model, and 1.4 s for MobileNetV2.
"""

import itertools
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from layerscope.errors import DeadlineExceeded, LayerscopeError, RunCutOff
from layerscope.graph.remote.connection import Connection
from layerscope.graph.remote.wire import Call, OpenModel
from layerscope.graph.runtime.executable import Executable
from layerscope.graph.server_process import SharedServer

Array = np.ndarray[Any, np.dtype[Any]]

_MOST_MODELS = 4
"""The greatest number of models that the run process has open. Each has plans of its own."""

_CUT_OFF_FACTOR = 10
_CUT_OFF_SECONDS = 10.0
"""A run is cut off when it has taken this factor of its estimate, and so many seconds, in which it may be compiled first."""

_CLOSE_SECONDS = 5.0
"""How long closing a model may take."""

_CHECK_SECONDS = 0.05
"""How often a call that waits for its turn looks whether it may go on waiting."""


@dataclass(frozen=True)
class RunBounds:
    """How long a run may take.

    Attributes:
        deadline: when its result is of no use any more, on the clock of `time.monotonic`.
        is_cancelled: whether nobody waits for the result.
        estimate: the seconds that it probably takes; None if nothing is known.
    """

    deadline: float
    is_cancelled: Callable[[], bool] = lambda: False
    estimate: float | None = None


class RunProcess(SharedServer):
    """Runs models in a process that is ended with any run that takes too long. Safe to use from many threads.

    There is one run at a time. The run server, which forks the process, runs while the context is entered; see
    `SharedServer`. The process itself starts with the first call.

    Attributes:
        ended: how many times the process was ended with a run, or by one.
    """

    module = "layerscope.graph.remote.run_server"

    def __init__(self) -> None:
        super().__init__()
        self.ended = 0
        self._turn = threading.Lock()
        self._connection: Connection | None = None
        self._new_numbers = itertools.count(1)
        self._numbers: WeakKeyDictionary[Executable, int] = WeakKeyDictionary()
        self._to_close: deque[int] = deque()

    def call(
        self,
        executable: Executable,
        call: Callable[..., Call],
        arrays: Sequence[Array],
        bounds: RunBounds,
    ) -> list[Array]:
        """Have the run process call its own copy of an executable.

        Args:
            executable: of the model. It is opened there with the first call, and closed when it is closed here.
            call: makes the message, given the number of the model as `model`.
            arrays: of the message.
            bounds: of the call, its wait for other runs included. Only the run itself counts against its estimate.

        Raises:
            DeadlineExceeded: the time is up, or nobody waits any more.
            RunCutOff: the run took far longer than was estimated.
            RunFailed: the process did not survive the run.
            LayerscopeError: what the executable raises.
        """
        watch = _Watch(bounds)
        with self, self._own_turn(watch):
            connection = self._connected()
            try:
                number = self._open(connection, executable, watch)
                watch.begin_run()
                return connection.ask(call(model=number), arrays, on_wait=watch.check)
            finally:
                if connection.has_ended:
                    self.ended += 1
                    self._connection = None

    def _stop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.end()
        super()._stop()

    @contextmanager
    def _own_turn(self, watch: "_Watch") -> Iterator[None]:
        while not self._turn.acquire(timeout=_CHECK_SECONDS):
            watch.check()
        try:
            yield
        finally:
            self._turn.release()
            self._close_models()

    def _connected(self) -> Connection:
        """The connection to the run process, which is started if there is none."""
        if self._connection is not None and self._connection.is_broken:
            # It was killed while it had nothing to do, by a system without memory for example.
            self._connection.end()
            self._connection = None
        if self._connection is None:
            self._connection = Connection(self._running())
        return self._connection

    def _open(self, connection: Connection, executable: Executable, watch: "_Watch") -> int:
        """Open a model in the run process, if it is not; its number."""
        if executable not in self._numbers:
            number = self._numbers[executable] = next(self._new_numbers)
            executable.when_closed(lambda: self._close(number))
        number = self._numbers[executable]
        if number not in connection.models:
            while len(connection.models) >= _MOST_MODELS:
                connection.close(next(iter(connection.models)), watch.check)
            rewrites = tuple(each.__name__ for each in executable.plans.rewrites)
            message = OpenModel(
                model=number,
                is_exact=executable.is_exact,
                rewrites=rewrites,
                data_sized_bytes=executable.data_sized_bytes,
            )
            connection.open(message, executable.prepared.descriptor, watch.check)
        connection.models.move_to_end(number)
        return number

    def _close(self, number: int) -> None:
        self._to_close.append(number)
        self._close_models()

    def _close_models(self) -> None:
        """Close the models there that are closed here. During a run, that is left to its end."""
        while self._to_close and self._turn.acquire(blocking=False):
            try:
                number, connection = self._to_close.popleft(), self._connection
                watch = _Watch(RunBounds(time.monotonic() + _CLOSE_SECONDS))
                if connection is not None and number in connection.models:
                    with suppress(LayerscopeError):
                        connection.close(number, watch.check)
            finally:
                self._turn.release()


SHARED_RUN_PROCESS = RunProcess()
"""The run process that all engines of this process share."""


class _Watch:
    """Ends the wait of a call when its bounds are passed."""

    def __init__(self, bounds: RunBounds) -> None:
        self._bounds = bounds
        self._most_seconds = math.inf
        self._cut_off = math.inf

    def begin_run(self) -> None:
        """Count the time against the estimate from now on."""
        if self._bounds.estimate is not None:
            self._most_seconds = max(_CUT_OFF_SECONDS, _CUT_OFF_FACTOR * self._bounds.estimate)
            self._cut_off = time.monotonic() + self._most_seconds

    def check(self) -> None:
        """Check the time, and whether the result is still needed.

        Raises:
            DeadlineExceeded: the time is up, or nobody waits any more.
            RunCutOff: the run takes far longer than was estimated.
        """
        now = time.monotonic()
        if now > self._bounds.deadline or self._bounds.is_cancelled():
            raise DeadlineExceeded("The run took longer than the request may, and was ended: ask for less.")
        if now > self._cut_off:
            raise RunCutOff(
                f"The run was ended after {self._most_seconds:.0f} seconds, for it was expected to take"
                f" {self._bounds.estimate:.1f}: ask for less.",
                expected_seconds=self._bounds.estimate,
                seconds=self._most_seconds,
            )
