"""Runners: where the shards of a job are done. Each is imported, with all that it takes, when it is chosen."""

import re
from typing import TYPE_CHECKING

from layerscope.errors import OptionInvalid

if TYPE_CHECKING:
    from layerscope.execution.local_engine import LocalEngine
    from layerscope.extraction.running import Runner
    from layerscope.graph.loading.prepared_files import PreparedFiles

_PROCESSES = re.compile(r"processes(?::([1-9]\d{0,2}))?")


def runner_named(
    text: str, prepared: "PreparedFiles | None" = None, engine: "LocalEngine | None" = None
) -> "Runner":
    """The runner that a text names.

    Args:
        text: `here`, `processes`, `processes:N`, `ray`, `ray://HEAD:10001` or `dask://SCHEDULER:8786`.
        prepared: where opened models are kept.
        engine: of this process that has the job's model, for `here`.

    Raises:
        OptionInvalid: it names none, or one that is not installed.
    """
    if text == "here":
        from layerscope.extraction.runners.here import Here  # noqa: PLC0415 - when it is chosen

        return Here(prepared, engine)
    if found := _PROCESSES.fullmatch(text):
        from layerscope.extraction.runners.processes import Processes  # noqa: PLC0415

        return Processes(int(found[1] or 2), prepared)
    name, separator, address = text.partition("://")
    try:
        if name == "ray" and bool(separator) == bool(address):
            from layerscope.extraction.runners.ray import RayData  # noqa: PLC0415

            return RayData(text if address else None, prepared)
        if name == "dask" and address:
            from layerscope.extraction.runners.dask import Dask  # noqa: PLC0415

            return Dask(f"tcp://{address}", prepared)
    except ModuleNotFoundError as error:
        raise OptionInvalid(
            f"{name} is not installed here: pip install 'layerscope[{name}]'.", option="on"
        ) from error
    raise OptionInvalid(
        f"There is no runner {text[:50]!r}: use here, processes:N, ray, ray://HEAD:10001 or dask://SCHEDULER:8786.",
        option="on",
    )
