"""The worker's side of `rig/peers.py`: a line with a task and an image file comes in, the seconds it took go out."""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping

import numpy as np
from PIL import Image


def read_image(path: str) -> np.ndarray:
    """A batch of one image in the range -1 to 1, as the preset "signed" makes it."""
    return np.asarray(Image.open(path), np.float32)[None] / 127.5 - 1


def work(tasks: Mapping[str, Callable[[str], object]]) -> None:
    """Run the requested tasks until the input ends.

    Args:
        tasks: functions of an image's path, by name.
    """
    answers = os.fdopen(os.dup(1), "w")
    # Some libraries print to the output, which is the protocol's here.
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        started = time.perf_counter()
        tasks[request["task"]](request["image"])
        answers.write(json.dumps({"seconds": time.perf_counter() - started}) + "\n")
        answers.flush()
