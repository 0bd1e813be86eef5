"""A job over 100,000 images: whether memory and time stay in proportion, from the first part to the last.

The images are PNGs of 28 by 28 pixels in one folder, of which the demo model gives a dense layer, so that what is not the model weighs most:
the list of images, the parts, and what is kept of each. Time is that of all processors, which other processes of the machine change least.
"""

import io
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image
from rig.figures import Figure

from layerscope.extraction.output import Status
from layerscope.extraction.planning import Request, opened_job
from layerscope.extraction.runners.here import Here
from layerscope.extraction.running import run
from layerscope.limits import MIB
from layerscope.tensors.options import TensorOptions

IMAGES = 100_000
PART = 500
TENTH = IMAGES // 10


def measure() -> dict[str, Figure]:
    """Memory at the end against that after the first thousand, and time of the last tenth against the first."""
    with tempfile.TemporaryDirectory() as folder:
        _write_images(Path(folder, "images"))
        request = Request(
            models=None,
            model="digits",
            layers=["dense"],
            options=TensorOptions(),
            data=str(Path(folder, "images")),
            format="safetensors",
            shard_images=PART,
        )
        done, seconds, memory = [], [], []

        def note(found: Status) -> None:
            done.append(found.done)
            seconds.append(time.process_time())
            memory.append(_resident_bytes() / MIB)

        before = _resident_bytes() / MIB
        with opened_job(request, str(Path(folder, "features"))) as (output, engine):
            planned = _resident_bytes() / MIB
            found = run(output, Here(engine=engine), progress=note)
        if found.done != IMAGES:
            raise RuntimeError(f"{found.failed} images failed")
    warm = done.index(1_000)
    growth = max(memory[warm:]) - memory[warm]
    times = np.interp(np.arange(0, IMAGES + 1, TENTH), done, seconds)
    tenths = np.diff(times)
    line = np.polyval(np.polyfit(done, seconds, 1), done)
    off_line = float(np.abs(np.array(seconds) - line).max() / (seconds[-1] - seconds[0]))
    return {
        "memory": Figure(
            what=f"memory that a job of {IMAGES:,} images takes more than after the first thousand",
            against="-",
            value=growth,
            unit="MB",
            most=100,
            details={
                "before_mb": before,
                "planned_mb": planned,
                "rows": done[warm :: len(done) // 10],
                "resident_mb": memory[warm :: len(done) // 10],
            },
        ),
        "time": Figure(
            what=f"processor time of the last {TENTH:,} images of {IMAGES:,}",
            against=f"the first {TENTH:,}",
            value=float(tenths[-1] / tenths[0]),
            unit="x the time",
            most=1.2,
            details={
                "seconds_of_each_tenth": [float(each) for each in tenths],
                "ms_an_image": 1000 * float(tenths.sum()) / IMAGES,
                "furthest_from_a_line": off_line,
            },
        ),
    }


def _write_images(folder: Path) -> None:
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(IMAGES):
        file = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (28, 28), np.uint8)).save(file, "png")
        (folder / f"{number:06d}.png").write_bytes(file.getvalue())


def _resident_bytes() -> int:
    text = Path("/proc/self/statm").read_text("utf-8")
    return int(text.split()[1]) * 4096
