"""The child that reads and runs a `.tflite` file, as the service sees it: see `worker` for the messages."""

import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from math import prod
from multiprocessing import Pipe
from typing import Any, BinaryIO, Self

import numpy as np

from layerscope.errors import ModelRefused, ModelTooLarge, ModelUnreadable, model_refusal
from layerscope.graph.lite.lite_graph import LiteGraph
from layerscope.models.bounds import OpeningBounds

logger = logging.getLogger(__name__)

Array = np.ndarray[Any, np.dtype[Any]]

OnWait = Callable[[], None]
"""Is called again and again while the child computes. It raises an error to give up."""

_ENVIRONMENT = {"PATH": os.defpath, "LANG": "C.UTF-8", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
"""Nothing from the service's own, which may hold secrets."""

_CHECK_SECONDS = 0.05
_END_SECONDS = 5
"""How long a child may take to end that has closed its socket."""

_LONGEST_MESSAGE = 64 << 20
_LOGGED = 2_000
"""The most bytes of what a child wrote before it ended that are logged."""

_FLOAT = np.dtype(np.float32)


class LiteProcess:
    """A child for one file, which ends when the context is left.

    Args:
        file: the open file.
        bounds: of the child. It ends by itself when its time is up.

    Attributes:
        graph: what is in the file.

    Raises:
        ModelRefused: the file is damaged, of another format, too large, or crashed the child.
    """

    graph: LiteGraph

    def __init__(self, file: BinaryIO, bounds: OpeningBounds, on_wait: OnWait = lambda: None) -> None:
        self._on_wait = on_wait
        self._bounds = bounds
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - `close` closes it
        self._connection, other = Pipe()
        with other:
            descriptors = (file.fileno(), other.fileno())
            self._child = subprocess.Popen(  # noqa: S603 - nothing in the command comes from outside
                # Its bound on the length of files would cut the byte code that it keeps for others.
                [sys.executable, "-I", "-B", "-m", "layerscope.graph.lite.worker", *map(str, descriptors)],
                pass_fds=descriptors,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                env=_ENVIRONMENT,
                process_group=0,
            )
        try:
            self._send({"parent": os.getpid(), "bounds": asdict(bounds)})
            self.graph = LiteGraph.of(self._answer()["graph"])
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the child."""
        self._connection.close()
        with suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()
        self._errors.close()

    def run(
        self, inputs: Sequence[tuple[int, Array]], tensors: Sequence[int], most_bytes: int
    ) -> list[Array]:
        """Run one image.

        Args:
            inputs: the number of each input's tensor, and the numbers that it gets.
            tensors: the numbers of those that are wanted.
            most_bytes: what the values may have together.

        Returns:
            The values of each tensor, dequantised, float32.

        Raises:
            ModelRefused: the file cannot run, or crashed the child.
            Exception: what `on_wait` raises.
        """
        arrays = [(index, np.ascontiguousarray(values, _FLOAT)) for index, values in inputs]
        described = [{"index": index, "shape": array.shape} for index, array in arrays]
        self._send(
            {"inputs": described, "tensors": list(tensors)},
            [array.reshape(-1).view(np.uint8).data for _, array in arrays],
        )
        shapes = [tuple(map(int, shape)) for shape in self._answer()["shapes"]]
        if _FLOAT.itemsize * sum(map(prod, shapes)) > most_bytes:
            raise ModelTooLarge("The layers of the file are larger than those of the reference.")
        return [np.frombuffer(self._received(most_bytes), _FLOAT).reshape(shape) for shape in shapes]

    def _send(self, message: dict[str, Any], arrays: Sequence[memoryview] = ()) -> None:
        try:
            self._connection.send_bytes(json.dumps(message).encode())
            for array in arrays:
                self._connection.send_bytes(array)
        except OSError:
            # It has ended: what it answers, or how it ended, says why.
            return

    def _answer(self) -> dict[str, Any]:
        """The next message of the child.

        Raises:
            ModelRefused: it says so, or has ended.
        """
        message: dict[str, Any] = json.loads(self._received())
        if "code" in message:
            logger.warning("a .tflite file is refused: %s", message)
            raise model_refusal(message["code"], message["message"], message["details"])
        return message

    def _received(self, longest: int = _LONGEST_MESSAGE) -> bytes:
        try:
            while not self._connection.poll(_CHECK_SECONDS):
                self._on_wait()
            return self._connection.recv_bytes(longest)
        except (EOFError, OSError) as error:
            raise self._failure() from error

    def _failure(self) -> ModelRefused:
        """Why the child has ended without an answer."""
        self._connection.close()
        try:
            status = self._child.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            status = 0
        self._errors.seek(0)
        logger.warning(
            "a .tflite file ended its process: %s", self._errors.read()[-_LOGGED:].decode(errors="replace")
        )
        if status in {-signal.SIGALRM, -signal.SIGXCPU}:
            return ModelTooLarge(
                f"Running the file takes longer than it may, {self._bounds.seconds} seconds: compare fewer images."
            )
        if status < 0:
            name = signal.Signals(-status).name
            return ModelRefused(
                f"The file crashed the interpreter of TensorFlow Lite ({name}): it is damaged, or takes too much memory."
            )
        return ModelUnreadable("Reading the file ended too early: it may be made to break what reads it.")
