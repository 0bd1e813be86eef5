"""Several processes that answer at one address, and the one that watches over them.

    layerscope serve ── listens, forks ──▶ worker 0 … N-1: each accepts from the same socket, with all models in its memory

A connection goes to whichever worker accepts it first, so that one that is not ready, or is gone, gets none. A worker that
ends is started again; if it ends by itself before any has loaded the models, all end.
"""

import logging
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType

from rich.console import Console

from layerscope.errors import LayerscopeError
from layerscope.models.worker_sync import forget_process
from layerscope_api.context.settings import Settings
from layerscope_api.context.shared_state import Shared
from layerscope_api.observability.logs import configure_logs
from layerscope_api.server.process import listen, run

logger = logging.getLogger(__name__)

_PAUSE_SECONDS = 1
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def serve_with(settings: Settings, console: Console) -> int:
    """Serve with as many processes as there shall be, until told to stop; the exit code.

    Raises:
        LayerscopeError: with one process, why it cannot start.
    """
    if settings.workers == 1:
        run(settings, console)
        return 0
    configure_logs(settings.log_format)
    directory = Path(tempfile.mkdtemp(prefix="layerscope-"))
    try:
        with listen(settings) as listener:
            return _Watch(settings, console, listener, directory).run()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


class _Watch:
    """Watches over workers.

    Args:
        settings: how many, and how they are set up.
        console: where the first says what is served.
        listener: what they accept from.
        directory: what they share.
    """

    def __init__(
        self, settings: Settings, console: Console, listener: socket.socket, directory: Path
    ) -> None:
        self._settings = settings
        self._console = console
        self._listener = listener
        self._directory = directory
        self._workers: dict[int, int] = {}
        self._is_ending = False
        # Closed when this process ends, however that happens.
        self._alive = os.pipe()

    def run(self) -> int:
        """Start workers, and end when they have ended; the exit code of the first that failed."""
        for number in _SIGNALS:
            signal.signal(number, self._pass_on)
        for worker in range(self._settings.workers):
            self._start(worker)
        code = 0
        while self._workers:
            process, status = os.wait()
            worker = self._workers.pop(process)
            forget_process(self._directory, process)
            ended = os.waitstatus_to_exitcode(status)
            if not self._is_ending and (ended < 0 or Shared(self._directory, worker).is_served):
                how = signal.Signals(-ended).name if ended < 0 else f"code {ended}"
                logger.error("worker %d ended with %s, and is started again", worker, how)
                time.sleep(_PAUSE_SECONDS)
                self._start(worker)
                continue
            code = code or max(ended, 0)
            if not self._is_ending:
                self._pass_on(signal.SIGTERM, None)
        return code

    def _start(self, worker: int) -> None:
        # A signal that comes meanwhile is for all of them, this one too.
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        if not self._is_ending:
            process = os.fork()
            if process == 0:
                os._exit(self._begin(worker))
            self._workers[process] = worker
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)

    def _begin(self, worker: int) -> int:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        # What is typed at a terminal goes to whoever watches over it, and from there to it once.
        os.setpgid(0, 0)
        os.close(self._alive[1])
        shared = Shared(self._directory, worker)
        console = Console(quiet=True) if shared.is_late else self._console
        try:
            run(self._settings, console, self._listener, shared, self._end_with_parent)
        except LayerscopeError as error:
            self._console.print(f"[red]{error.message}[/red]", highlight=False)
            return 1
        except BaseException:
            logger.exception("worker %d failed", worker)
            return 1
        else:
            return 0
        finally:
            sys.stdout.flush()
            sys.stderr.flush()

    def _end_with_parent(self) -> None:
        def wait() -> None:
            os.read(self._alive[0], 1)
            os.kill(os.getpid(), signal.SIGTERM)

        threading.Thread(target=wait, name="layerscope-parent", daemon=True).start()

    def _pass_on(self, number: int, _: FrameType | None) -> None:
        self._is_ending = True
        for process in list(self._workers):
            with suppress(ProcessLookupError):
                os.kill(process, number)
