"""Worker: the process of a job. It plans the job and does it, with a lower priority, and ends with the service that started it.

`python -m layerscope.jobs.worker PARENT`, with a `process.Setup` on its input, writes a `process.Outcome` to its output.
"""

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from layerscope.errors import JobDiffers, LayerscopeError
from layerscope.models.bounds import end_with
from layerscope.models.durable import write_whole
from layerscope.start_messages import without_info_messages

if TYPE_CHECKING:
    from layerscope.execution.local_engine import LocalEngine
    from layerscope.extraction.output import Output, Status
    from layerscope.jobs.process import Setup

_NICENESS = 19
"""The processors are for requests first."""

_FIRST_TO_KILL = "1000"


def do(setup: "Setup") -> None:
    """Do what is left of a job.

    Raises:
        LayerscopeError: the job cannot go on; what is done stays.
    """
    from layerscope.extraction.extractor import engine_for  # noqa: PLC0415 - see main
    from layerscope.extraction.output import Output  # noqa: PLC0415
    from layerscope.extraction.planning import opened_job  # noqa: PLC0415

    if setup.planned is not None:
        output = Output(setup.to)
        if output.job.id != setup.planned:
            raise JobDiffers("There is another job at its place now.")
        asked = setup.request
        with engine_for(
            str(asked.models),
            output.job.model,
            trusted=asked.trusted,
            prepared=setup.prepared,
            limits=setup.limits,
        ) as engine:
            _run(setup, output, engine)
        return
    with opened_job(setup.request, setup.to, setup.prepared, setup.limits) as (output, engine):
        if setup.retry:
            output.forget_failed()
        _run(setup, output, engine)


def _run(setup: "Setup", output: "Output", engine: "LocalEngine") -> None:
    from layerscope.extraction.runners import runner_named  # noqa: PLC0415 - see main
    from layerscope.extraction.running import run  # noqa: PLC0415
    from layerscope.jobs.record import PROGRESS, JobProgress  # noqa: PLC0415

    def note(status: "Status") -> None:
        write_whole(setup.progress, PROGRESS.dump_json(JobProgress(output.job.id, status)).decode())

    runner = runner_named("processes:1" if setup.isolated else "here", setup.prepared, engine)
    run(output, runner, most_failed=setup.max_failed, progress=note)


def main() -> None:
    """Do the job that is told on the standard input."""
    # Before TensorFlow is imported, which takes seconds of a processor.
    os.nice(_NICENESS)
    end_with(int(sys.argv[1]))
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_KILL, "ascii")
    # Plugins of the model may print: their output goes to that of errors.
    answers = os.dup(1)
    os.dup2(2, 1)
    with without_info_messages():
        from layerscope.jobs.process import OUTCOME, SETUP, Outcome  # noqa: PLC0415
        from layerscope.jobs.record import JobError  # noqa: PLC0415

    try:
        do(SETUP.validate_json(sys.stdin.buffer.read()))
        outcome = Outcome()
    except LayerscopeError as error:
        outcome = Outcome(JobError.of(error))
    os.write(answers, OUTCOME.dump_json(outcome, fallback=str))
    # TensorFlow takes two seconds to end in good order.
    os._exit(0)


if __name__ == "__main__":
    main()
