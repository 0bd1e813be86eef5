"""Prepared model: a traced model as data in one anonymous file, from the process that opens models to the service.

    header       the offsets of the graph and the metadata, and the length of the file: three 64-bit little-endian numbers
    weights      each at a multiple of 64 bytes, so that TensorFlow can compute from them in place
    graph        a serialized GraphDef, with constants, and with variables that have no value yet
    metadata     JSON: a `ModelMetadata`, or a `Refusal`

Reading the file runs no code of the model. The header is written last: a file without one was never finished.
"""

import mmap
import os
import struct
import tempfile
import weakref
from dataclasses import dataclass
from math import prod
from typing import Any, BinaryIO

import numpy as np
import tensorflow as tf
from pydantic import TypeAdapter

from layerscope.errors import ModelRefused, model_refusal
from layerscope.graph.taps.tap import Input, LayerCall
from layerscope.models.manifest import Manifest
from layerscope.text import Tokenizer

Array = np.ndarray[Any, np.dtype[Any]]

ALIGNMENT = 64
"""Bytes of the header. The offset of every weight is a multiple of it."""

_POSITIONS = struct.Struct("<3Q")


@dataclass(frozen=True)
class Weight:
    """A variable of the graph, by the name of its operation, and the offset of its values in the file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int


@dataclass(frozen=True)
class DataSizedNode:
    """A node whose size is a number in the input.

    Attributes:
        path: its name; inside of functions, behind those of the nodes that call them, outermost first.
        function: the function that it is in; None in the graph itself.
    """

    path: tuple[str, ...]
    function: str | None = None


@dataclass(frozen=True)
class ModelMetadata:
    """Everything about a prepared model except its graph and its weights.

    Attributes:
        digest: names the model's file, its declaration and its plugins.
        manifest: its declaration.
        parameters: how many numbers its weights are.
        outputs: the model's outputs by name, and the addresses of the taps that hold them.
        data_sized: the nodes of the graph whose size is a number in the input.
        tokenizer: how text becomes its inputs; None if that is not declared.

    The others are those of a `Trace`.
    """

    digest: str
    manifest: Manifest
    parameters: int
    inputs: tuple[Input, ...]
    placeholders: tuple[str, ...]
    outputs: tuple[tuple[str, str], ...]
    calls: tuple[LayerCall, ...]
    unreachable: tuple[str, ...]
    opened_with: str
    warnings: tuple[str, ...]
    batch_size: int | None
    seed: str | None
    weights: tuple[Weight, ...]
    data_sized: tuple[DataSizedNode, ...]
    tokenizer: Tokenizer | None = None

    @property
    def fed(self) -> tuple[str, ...]:
        """The placeholders that every run feeds: those of the inputs, and that of the seed if the model samples."""
        return self.placeholders if self.seed is None else (*self.placeholders, self.seed)


@dataclass(frozen=True)
class Refusal:
    """Why there is no metadata; `model_refusal` makes an error of it."""

    code: str
    message: str
    details: dict[str, Any]


@dataclass(frozen=True)
class PreparedModel:
    """A model that can be served.

    Attributes:
        metadata: everything but graph and weights.
        graph: a serialized GraphDef.
        memory: what its weights are in.
        descriptor: of its file, which another process can `read`, too. It is open for as long as there is the memory.
    """

    metadata: ModelMetadata
    graph: bytes
    memory: Any
    descriptor: int

    def values(self, weight: Weight) -> Array:
        """The values of a weight, in place. The array keeps the memory of all weights alive."""
        dtype = np.dtype(tf.as_dtype(weight.dtype).as_numpy_dtype)
        return np.frombuffer(self.memory, dtype, prod(weight.shape), weight.offset).reshape(weight.shape)


_RECORD: TypeAdapter[ModelMetadata | Refusal] = TypeAdapter(ModelMetadata | Refusal)


def anonymous_file() -> BinaryIO:
    """A file without a name, in memory if the system supports that. It ends with its last descriptor."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("layerscope-model"), "w+b")
    return tempfile.TemporaryFile()


def finish(file: BinaryIO, graph: bytes, record: ModelMetadata | Refusal) -> None:
    """Write graph and metadata from the current position of the file on, and the header last."""
    graph_at = file.tell()
    file.write(graph)
    record_at = file.tell()
    file.write(_RECORD.dump_json(record, fallback=str))
    end = file.tell()
    file.seek(0)
    file.write(_POSITIONS.pack(graph_at, record_at, end))
    file.flush()


def refuse(file: BinaryIO, refusal: Refusal) -> None:
    """Write why there is no model, over everything that was written before."""
    file.seek(ALIGNMENT)
    finish(file, b"", refusal)


def read(file: BinaryIO, *, is_writable: bool = True) -> PreparedModel:
    """Read a prepared model. All processes that read a file share the memory of its weights.

    Args:
        file: may be closed afterwards, and must not change.
        is_writable: whether the system lets this process write to the weights. One that does nevertheless is ended.

    Raises:
        ModelRefused: the file holds a refusal, or was never finished.
    """
    file.seek(0)
    header = file.read(_POSITIONS.size).ljust(_POSITIONS.size, b"\0")
    graph_at, record_at, end = _POSITIONS.unpack(header)
    if not end:
        raise ModelRefused("Opening the model ended too early: one of its plugins ends the process.")
    file.seek(graph_at)
    graph = file.read(record_at - graph_at)
    record = _RECORD.validate_json(file.read(end - record_at))
    if isinstance(record, Refusal):
        raise model_refusal(record.code, record.message, record.details)
    memory, descriptor = _mapped(file, graph_at, is_writable), os.dup(file.fileno())
    # Not at the end of the process, which closes it: by then, the number may mean another file.
    weakref.finalize(memory, os.close, descriptor).atexit = False
    return PreparedModel(record, graph, memory, descriptor)


def _mapped(file: BinaryIO, size: int, is_writable: bool) -> mmap.mmap:
    """A shared mapping: populating a private writable one would copy all of it."""
    flags = mmap.MAP_SHARED | getattr(mmap, "MAP_POPULATE", 0)
    access = mmap.PROT_READ | (mmap.PROT_WRITE if is_writable else 0)
    return mmap.mmap(file.fileno(), size, flags=flags, prot=access)
