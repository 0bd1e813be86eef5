"""Runs of a `.tflite` file, image by image, in a child of their own: no lane has them."""

import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from layerscope.errors import DeadlineExceeded
from layerscope.execution.batches import Outcome
from layerscope.execution.cancellation import CancellationToken
from layerscope.execution.progress import Progress
from layerscope.graph.lite.model import LiteModel
from layerscope.graph.taps.tap import Tap

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class LiteRuns:
    """The runs of one comparison.

    Attributes:
        model: the file.
        taps: whose values are read.
        run_bytes: the memory of a run.
        deadline: when the values are of no use any more, on the clock of `time.monotonic`.
    """

    model: LiteModel
    taps: Sequence[Tap]
    run_bytes: int
    deadline: float

    def outcomes(
        self,
        rows: int,
        inputs: Callable[[int], list[Array]],
        cancellation: CancellationToken,
        progress: Progress | None,
    ) -> Generator[Outcome, None, None]:
        """Run images, and yield the outcomes in order.

        Args:
            rows: how many there are.
            inputs: gives one array an input for an image.
            cancellation: whether the caller still needs them.
            progress: is called with the number of those that are done, and with `rows`.

        Raises:
            DeadlineExceeded: the time is up, or the work was cancelled.
            ModelRefused: see `LiteModel.running`.
        """

        def check() -> None:
            if cancellation.is_cancelled or time.monotonic() > self.deadline:
                raise DeadlineExceeded("The comparison took longer than it may, or nobody waits for it.")

        with self.model.running(self.deadline - time.monotonic(), self.run_bytes, check) as run:
            for row in range(rows):
                began = time.monotonic()
                arrays = run(inputs(row), self.taps)
                ran = time.monotonic() - began
                if progress is not None and rows > 1:
                    progress(row + 1, rows)
                yield Outcome(arrays, (("queue", began, 0.0), ("run", began, ran)))
