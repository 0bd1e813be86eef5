"""Time from starting the process to its first answer: with the demo model, which is opened, and with MobileNetV2, which was kept.

It is compared with importing TensorFlow, which no service that runs TensorFlow can avoid. Each start is a new process; the
files are in the page cache, as after any first start.
"""

import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from rig.figures import Figure, ratio
from rig.models import mobilenet, save
from rig.paired import Pairs, Way, compare
from rig.service import serve

TURNS = 8
WARM_UP = 1


def measure() -> dict[str, Figure]:
    """From nothing to ready."""
    with tempfile.TemporaryDirectory() as folder:
        models, cache = Path(folder, "models"), Path(folder, "cache")
        save(mobilenet(), models, "mobilenetv2")
        kept = {"keep_prepared": "true", "models_cache": str(cache)}
        return {
            "ready": ratio(
                _starts(None, {"keep_prepared": "false"}),
                what="process start to ready with the demo model, which is opened",
                against="python -c 'import tensorflow'",
                unit="x the time",
                most=1.3,
            ),
            "kept": ratio(
                _starts(models, kept),
                what="process start to ready with MobileNetV2, which an earlier start has opened",
                against="python -c 'import tensorflow'",
                unit="x the time",
                most=1.2,
            ),
        }


def _starts(models: Path | None, settings: dict[str, str]) -> Pairs:
    """Starts of a service. The time to end counts only in the CPU seconds."""

    def start(_: object) -> float:
        with serve(models, settings=settings) as service:
            return service.started_in

    return compare(
        "starts", Way(start, _cpu), Way.timed(_import, _cpu), range(TURNS + WARM_UP), warm_up=WARM_UP
    )


def _import(_: object) -> None:
    subprocess.run([sys.executable, "-c", "import tensorflow"], check=True, capture_output=True)


def _cpu() -> float:
    """CPU seconds of all processes that were started here and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
