"""The process of a job, as the service sees it: it gets one `Setup`, and says one `Outcome`. `worker` is what it does."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from layerscope.errors import RunFailed
from layerscope.extraction.planning import Request
from layerscope.graph.loading.prepared_files import PreparedFiles
from layerscope.jobs.record import JobError
from layerscope.limits import Limits


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What a process is to do.

    Attributes:
        request: what is asked for.
        to: the address of the place for the result.
        isolated: whether another process runs the model, so that an image that ends it costs itself only.
        planned: the id of the planned job that is gone on with, with its images as they were; None plans it.
        retry: whether images that failed before are tried again.
        max_failed: the share of all images, from 0 to 1, that may fail.
        progress: the file in which the process says how far it is.
        prepared: where opened models are kept.
        limits: of the service.
    """

    request: Request
    to: str
    isolated: bool = False
    planned: str | None
    retry: bool
    max_failed: float
    progress: Path
    prepared: PreparedFiles | None
    limits: Limits


@dataclass(frozen=True)
class Outcome:
    """What became of a job.

    Attributes:
        error: why it failed; None if it is done.
        has_died: whether its process ended without a word.
    """

    error: JobError | None = None
    has_died: bool = False


SETUP = TypeAdapter(Setup)
OUTCOME = TypeAdapter(Outcome)


class JobProcess:
    """A running process of a job. The thread that starts it must live as long as it.

    Args:
        setup: what it is to do.
    """

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self._process = subprocess.Popen(  # noqa: S603 - nothing in the command comes from outside
            [sys.executable, "-P", "-m", "layerscope.jobs.worker", str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            process_group=0,
        )
        assert self._process.stdin is not None  # noqa: S101 - a pipe
        with suppress(BrokenPipeError), self._process.stdin as pipe:
            pipe.write(SETUP.dump_json(setup))

    def outcome(self) -> Outcome | None:
        """What became of the job; None while the process runs. It is told once."""
        code = self._process.poll()
        if code is None:
            return None
        assert self._process.stdout is not None  # noqa: S101 - a pipe
        try:
            return OUTCOME.validate_json(self._process.stdout.read())
        except ValidationError:
            how = signal.Signals(-code).name if code < 0 else f"code {code}"
            error = RunFailed(f"The process of the job ended with {how}.")
            return Outcome(JobError.of(error), has_died=True)

    def end(self) -> None:
        """End it at once, if it has not ended. The processes that it has started end with it."""
        assert self._process.stdout is not None  # noqa: S101 - a pipe
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()
