"""Time from starting the process to its first answer.

It is compared with importing TensorFlow, which no service that runs TensorFlow can avoid. Each start is a new process; the
files are in the page cache, as after any first start.
"""

import resource
import subprocess
import sys

from rig.figures import Figure, ratio
from rig.paired import Way, compare
from rig.service import serve

TURNS = 8
WARM_UP = 1


def measure() -> dict[str, Figure]:
    """From nothing to ready, with the demo model."""
    pairs = compare(
        "starts",
        Way(_start, _cpu),
        Way.timed(_import, _cpu),
        range(TURNS + WARM_UP),
        warm_up=WARM_UP,
    )
    return {
        "ready": ratio(
            pairs,
            what="process start to ready with the demo model",
            against="python -c 'import tensorflow'",
            unit="x the time",
            most=1.3,
        )
    }


def _start(_: object) -> float:
    """One start. The time to end counts only in the CPU seconds."""
    with serve(None) as service:
        return service.started_in


def _import(_: object) -> None:
    subprocess.run([sys.executable, "-c", "import tensorflow"], check=True, capture_output=True)


def _cpu() -> float:
    """CPU seconds of all processes that were started here and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
