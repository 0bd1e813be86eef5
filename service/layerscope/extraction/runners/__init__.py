"""Runners: where the shards of a job are done."""

import re

from layerscope.errors import OptionInvalid
from layerscope.execution.local_engine import LocalEngine
from layerscope.extraction.runners.here import Here
from layerscope.extraction.runners.processes import Processes
from layerscope.extraction.running import Runner
from layerscope.graph.loading.prepared_files import PreparedFiles

__all__ = ["Here", "Processes", "runner_named"]

_PROCESSES = re.compile(r"processes(?::([1-9]\d{0,2}))?")


def runner_named(
    text: str, prepared: PreparedFiles | None = None, engine: LocalEngine | None = None
) -> Runner:
    """The runner that a text names: `here`, `processes`, or `processes:N`.

    Args:
        text: its name.
        prepared: where opened models are kept.
        engine: of this process that has the job's model, for `here`.

    Raises:
        OptionInvalid: it names none.
    """
    if text == "here":
        return Here(prepared, engine)
    if found := _PROCESSES.fullmatch(text):
        return Processes(int(found[1] or 2), prepared)
    raise OptionInvalid(f"There is no runner {text[:50]!r}: use here or processes:N.", option="on")
