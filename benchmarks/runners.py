"""Runners: one job over 2,000 JPEGs, done here, in two processes, on a cluster of Ray and on one of Dask, all on this machine.

The job: the means of a middle layer of MobileNetV2, in parts of 50 images, by `layerscope extract run`. The rows of all are the
same to the bit, or this fails. Each is compared with `here`. The clusters, of two workers each, run before the job begins; their
memory counts, their start does not.

Each job is done three times, and so is one over 200 images; the medians count. Where the line through the two begins, at no image
at all, is the fixed cost: to start, to open the model and to end. Its slope is what an image more takes.
"""

import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from rig.figures import Figure
from rig.models import MIDDLE, SIDE, mobilenet, save
from rig.pictures import pictures

from clusters import BIN, Cluster, dask_cluster, ray_cluster
from process_tree import descendants

IMAGES, FEW, PART = 2_000, 200, 50
TURNS = 3
_TICK = os.sysconf("SC_CLK_TCK")
_SECONDS = 0.2


@dataclass
class Cost:
    """What a job took.

    Attributes:
        seconds: by the clock.
        memory: most bytes of all processes at once; a page that several have is shared between them (PSS).
        processor: seconds of each process.
    """

    seconds: float = 0
    memory: int = 0
    processor: dict[int, float] = field(default_factory=dict)

    @property
    def processor_seconds(self) -> float:
        """Seconds of all processes; what one did in the moments before it ended is not seen."""
        return sum(self.processor.values())

    def look(self, roots: list[int]) -> None:
        """Count what the processes, and those that they started, have now."""
        pids = {pid for root in roots for pid in (root, *descendants(root))}
        self.memory = max(self.memory, sum(map(_proportional_bytes, pids)))
        self.processor |= {pid: seconds for pid in pids if (seconds := _processor_seconds(pid))}


def measure() -> dict[str, Figure]:
    """Each runner against `here`."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        save(mobilenet(), root / "models", "mobilenetv2")
        for name, count in (("few", FEW), ("all", IMAGES)):
            (root / name).mkdir()
            for number, jpeg in enumerate(islice(pictures(SIDE, SIDE), count)):
                (root / name / f"{number:05d}.jpg").write_bytes(jpeg)
        costs = {name: _both(root, name, Cluster(name, {}, (), "")) for name in ("here", "processes:2")}
        with ray_cluster() as cluster:
            costs["ray"] = _both(root, "ray", cluster)
        with dask_cluster(root / "dask") as cluster:
            costs["dask"] = _both(root, "dask", cluster)
        rows = {
            b"".join(each.read_bytes() for each in sorted((root / f"{name}-all" / "parts").iterdir()))
            for name in costs
        }
    if len(rows) != 1:
        raise AssertionError("The runners gave other rows.")
    return {name: _figure(name, *both, costs["here"][1]) for name, both in costs.items()}


def _both(root: Path, name: str, cluster: Cluster) -> "tuple[list[Cost], list[Cost]]":
    """The jobs over a few images, and those over all. Before, the model is opened, as for every job but the first."""
    if name == "here":
        _job(root, name, "few", cluster)
    few, everything = zip(
        *((_job(root, name, "few", cluster), _job(root, name, "all", cluster)) for _ in range(TURNS)),
        strict=True,
    )
    return list(few), list(everything)


def _job(root: Path, name: str, data: str, cluster: Cluster) -> Cost:
    shutil.rmtree(root / f"{name}-{data}", ignore_errors=True)
    cost, started = Cost(), time.perf_counter()
    options = {
        "--models": root / "models",
        "--model": "mobilenetv2",
        "--layers": MIDDLE,
        "--reduce": "mean",
        "--part-images": PART,
        "--data": root / data,
        "--to": root / f"{name}-{data}",
        "--on": cluster.on,
    }
    command = [
        BIN / "layerscope",
        "extract",
        "run",
        *(str(part) for each in options.items() for part in each),
    ]
    kept = {"LAYERSCOPE_KEEP_PREPARED": "true", "LAYERSCOPE_MODELS_CACHE": str(root / "cache")}
    with subprocess.Popen(
        command, env=os.environ | cluster.surroundings | kept, stdout=subprocess.DEVNULL
    ) as job:
        roots = [job.pid, *(each.pid for each in cluster.roots)]
        before = Cost()
        before.look(roots)
        while job.poll() is None:
            cost.look(roots)
            time.sleep(_SECONDS)
    if job.returncode:
        raise AssertionError(f"The job ended with {job.returncode}.")
    cost.seconds = time.perf_counter() - started
    for pid, seconds in before.processor.items():
        cost.processor[pid] = cost.processor.get(pid, seconds) - seconds
    return cost


def _figure(name: str, few: list[Cost], everything: list[Cost], here: list[Cost]) -> Figure:
    seconds = _median(few, "seconds"), _median(everything, "seconds")
    an_image = (seconds[1] - seconds[0]) / (IMAGES - FEW)
    processor = _median(everything, "processor_seconds")
    return Figure(
        what=f"{IMAGES:,} images by `--on {name}`",
        against="`--on here`",
        value=seconds[1] / _median(here, "seconds"),
        unit="x the time",
        cpu=processor / _median(here, "processor_seconds"),
        details={
            "costs": {
                "runner": name,
                "wall, s": seconds[1],
                "fixed cost, s": seconds[0] - FEW * an_image,
                "an image more, ms": 1_000 * an_image,
                "processor, s": processor,
                "memory (PSS, peak), MB": _median(everything, "memory") / 1e6,
            }
        },
    )


def _median(costs: list[Cost], attribute: str) -> float:
    return statistics.median(getattr(each, attribute) for each in costs)


def _proportional_bytes(pid: int) -> int:
    with suppress(OSError):
        found = re.search(r"^Pss: +(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
        return 1024 * int(found[1]) if found else 0
    return 0


def _processor_seconds(pid: int) -> float:
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICK
    return 0
