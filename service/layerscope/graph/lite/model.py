"""A `.tflite` file as the candidate of a comparison with the Keras model that it was converted from."""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from math import ceil, prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from layerscope.errors import ModelRefused, ModelTooLarge, ModelUnreadable
from layerscope.graph.lite.matching import has_sizes, match, pair
from layerscope.graph.lite.process import LiteProcess, OnWait
from layerscope.graph.model import LoadedModel
from layerscope.graph.taps.tap import Shape, Tap
from layerscope.limits import MIB, Limits
from layerscope.models.bounds import OpeningBounds
from layerscope.models.file_kinds import kind_of_content
from layerscope.models.regular_files import open_regular

Array = np.ndarray[Any, np.dtype[Any]]
Run = Callable[[Sequence[Array], Sequence[Tap]], list[Array]]
"""Runs images on one array an input, (images, *input shape), and gives one array a tap, float32."""

_IDENTIFIER = b"TFL3"

_LIBRARIES = 1024 * MIB
"""The address space of Python, NumPy and the interpreter before they read anything."""

_WORKING = 64 * MIB
"""Their memory."""

_COPIES = 5
"""How many times a file is in memory while it is read and written anew."""

_CHECK_SECONDS = 0.05

_TURN = threading.Lock()
"""One child computes at a time: they are beside the threads that run models, and would take the processors from them."""


class LiteModel:
    """A `.tflite` file that was checked, and the layers of its reference that have a tensor of their own in it.

    It gets the same numbers as the reference, so that only the networks differ; an input is quantised as the file says.

    Args:
        path: the file.
        reference: the model that it was converted from, which must stay leased.
        limits: the bounds in force.
        name: of the model that it belongs to; left out, that of the file.
        version: likewise.

    Attributes:
        file: the name of the file.
        description: that of the reference, with a name and a digest of its own.

    Raises:
        ModelRefused: it is damaged, of another format or of another model, or the interpreter is not installed.
    """

    def __init__(
        self, path: Path, reference: LoadedModel, limits: Limits, *, name: str | None = None, version: int = 1
    ) -> None:
        self.file = path.name
        self._inspection = reference.executable.inspection
        self._opened = _opened(path, limits)
        try:
            size = os.fstat(self._opened.fileno()).st_size
            bounds = _bounds(limits.model_check_seconds, _COPIES * size)
            with _TURN, LiteProcess(self._opened, bounds) as child:
                self._graph = child.graph
            self._match(reference)
        except BaseException:
            self.close()
            raise
        self._child_bytes = _WORKING + _COPIES * size
        self.description = replace(
            reference.description,
            name=path.stem if name is None else name,
            version=version,
            digest=self._graph.digest,
            samples=False,
            warnings=(),
        )

    def _match(self, reference: LoadedModel) -> None:
        model, graph = reference.description, self._graph
        inputs = [(each.name, each.shape) for each in model.inputs]
        outputs = [(name, tap.shape) for name, tap in model.outputs]
        self._inputs = pair(graph.inputs, inputs, graph, "inputs")
        given = pair(graph.outputs, outputs, graph, "outputs")
        taps = [tap for call in model.taps.calls for tap in call.taps if tap.tensor.batched]
        self._tensors = {
            **match(graph, taps, self._inspection.nodes_in_order()),
            **dict(zip(model.taps.select(["input"]), self._inputs, strict=True)),
            **dict(zip((tap for _, tap in model.outputs), given, strict=True)),
        }

    def has(self, tap: Tap) -> bool:
        """Whether a layer of the reference has a tensor of its own. Many have none, because they were fused into others."""
        return tap in self._tensors

    def run_bytes(self, taps: Sequence[Tap], sizes: Sequence[Shape]) -> int:
        """The memory of a run of one image.

        Args:
            taps: what is read.
            sizes: the shapes of the inputs, without batch axis.
        """
        converted = sum(prod(each.shape) for each in self._inputs)
        growth = max(1, ceil(sum(prod(size or 1 for size in each) for each in sizes) / max(1, converted)))
        return self._child_bytes + growth * self._graph.nbytes + 2 * self._value_bytes(taps, sizes)

    def _value_bytes(self, taps: Sequence[Tap], sizes: Sequence[Shape]) -> int:
        """The bytes of the values of taps, as float32."""
        narrowest = min((tap.dtype.itemsize for tap in taps), default=4)
        return 4 * self._inspection.value_bytes(taps, sizes) // narrowest

    @contextmanager
    def running(self, seconds: float, most_bytes: int, on_wait: OnWait) -> Iterator[Run]:
        """Run images in a child that ends with the context.

        Args:
            seconds: after which the child ends by itself.
            most_bytes: the memory of a run, from `run_bytes`.
            on_wait: is called again and again while the child computes; it raises an error to give up.

        Raises:
            ModelRefused: the file changed, cannot run, or crashed the child.
        """
        # An estimate may be too small, and a child that had too little would say that the file is damaged.
        bounds = _bounds(max(1, ceil(seconds)), 2 * most_bytes)
        with _turn(on_wait):
            child = LiteProcess(self._opened, bounds, on_wait)
        with child:
            if child.graph != self._graph:
                raise ModelRefused(f"{self.file} changed meanwhile: compare it again.")

            def run(arrays: Sequence[Array], taps: Sequence[Tap]) -> list[Array]:
                rows = [self._row(child, row, taps, most_bytes, on_wait) for row in zip(*arrays, strict=True)]
                return [np.concatenate(values) for values in zip(*rows, strict=True)]

            yield run

    def _row(
        self, child: LiteProcess, row: Sequence[Array], taps: Sequence[Tap], most_bytes: int, on_wait: OnWait
    ) -> list[Array]:
        inputs = [
            (tensor.index, values[np.newaxis]) for tensor, values in zip(self._inputs, row, strict=True)
        ]
        with _turn(on_wait):
            found = child.run(inputs, [self._tensors[tap].index for tap in taps], most_bytes)
        for tap, values in zip(taps, found, strict=True):
            if not has_sizes(values.shape, tap.shape):
                raise ModelRefused(
                    f"{self.file} gives {tap.address} another shape than it says: convert the model again."
                )
        return found

    def close(self) -> None:
        """Close the file."""
        self._opened.close()


def _bounds(seconds: int, nbytes: int) -> OpeningBounds:
    return OpeningBounds(seconds, _LIBRARIES + nbytes, parameters=0)


@contextmanager
def _turn(on_wait: OnWait) -> Iterator[None]:
    while not _TURN.acquire(timeout=_CHECK_SECONDS):
        on_wait()
    try:
        yield
    finally:
        _TURN.release()


def _opened(path: Path, limits: Limits) -> BinaryIO:
    """The file, if it is not too large and its first bytes are those of a `.tflite` file.

    Raises:
        ModelRefused: it is not, cannot be opened, or the interpreter is not installed.
    """
    if find_spec("ai_edge_litert") is None:
        raise ModelRefused(
            f"{path.name} takes the interpreter of TensorFlow Lite: pip install 'layerscope[tflite]'.",
            package="ai-edge-litert",
        )
    try:
        file = open_regular(path, follow=True)
    except OSError as error:
        raise ModelRefused(f"{path.name} cannot be read: {error.strerror or error}.") from error
    try:
        _require_lite(file, path, limits)
    except BaseException:
        file.close()
        raise
    return file


def _require_lite(file: BinaryIO, path: Path, limits: Limits) -> None:
    size = os.fstat(file.fileno()).st_size
    if size > limits.model_file_bytes:
        raise ModelTooLarge(
            f"{path.name} has {size:,} bytes, more than {limits.model_file_bytes:,}: see model_file_bytes at /v1/limits.",
            bytes=size,
            limit=limits.model_file_bytes,
        )
    if file.read(8)[4:] != _IDENTIFIER:
        kind = kind_of_content(path) or "no TensorFlow Lite model: convert the model again"
        raise ModelUnreadable(f"{path.name} is {kind}.")
