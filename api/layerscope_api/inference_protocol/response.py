"""An answer to a request for inference, written: JSON, and behind it the tensors that are wanted in binary.

Tensors are sent from where they lie in memory. NaN and infinities, which JSON lacks, are null there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from layerscope.encode import Piece
from layerscope.encode.arrays import array_data
from layerscope.errors import UnsupportedFormat
from layerscope_api.inference_protocol import byte_strings
from layerscope_api.inference_protocol.datatypes import BYTES, Array, datatype_of


@dataclass(frozen=True)
class OutputTensor:
    """An output: numbers, the batch axis first, or one string of bytes an image; and whether it is sent in binary."""

    name: str
    values: Array | Sequence[bytes]
    binary: bool


@dataclass(frozen=True)
class InferenceResponse:
    """A body, piece by piece. `json_length` is how much of it is JSON; None if all of it is."""

    pieces: list[Piece]
    json_length: int | None

    @property
    def media_type(self) -> str:
        """What the body is."""
        return "application/json" if self.json_length is None else "application/octet-stream"


def write_inference_response(head: Mapping[str, Any], outputs: Sequence[OutputTensor]) -> InferenceResponse:
    """Put an answer together.

    Args:
        head: what comes before the outputs: the model's name and version, and the request's id.
        outputs: in the order they were asked for.

    Raises:
        UnsupportedFormat: halves in JSON, which the protocol does not have.
    """
    tensors: list[Piece] = []
    entries = []
    for output in outputs:
        is_bytes = not isinstance(output.values, np.ndarray)
        entry = _described(output)
        if output.binary:
            pieces = _bytes(output.values)
            entry["parameters"] = {"binary_data_size": sum(memoryview(piece).nbytes for piece in pieces)}
            tensors += pieces
        elif is_bytes:
            entry["data"] = [byte_strings.to_text(each) for each in output.values]
        else:
            entry["data"] = _flat(output)
        entries.append(entry)
    text = orjson.dumps({**head, "outputs": entries}, option=orjson.OPT_SERIALIZE_NUMPY)
    has_tensors = any(output.binary for output in outputs)
    return InferenceResponse([text, *tensors], len(text) if has_tensors else None)


def _described(output: OutputTensor) -> dict[str, Any]:
    values = output.values
    if not isinstance(values, np.ndarray):
        return {"name": output.name, "datatype": BYTES, "shape": [len(values)]}
    return {"name": output.name, "datatype": datatype_of(values.dtype.name), "shape": list(values.shape)}


def _bytes(values: Array | Sequence[bytes]) -> list[Piece]:
    if not isinstance(values, np.ndarray):
        return byte_strings.join(values)
    return [array_data(np.asarray(values, values.dtype.newbyteorder("<"), order="C"))]


def _flat(output: OutputTensor) -> Array:
    values = np.asarray(output.values)
    if values.dtype == np.float16:
        raise UnsupportedFormat(
            f"{output.name} holds FP16, which the protocol sends in binary only: ask for binary_data, or for dtype FP32.",
            output=output.name,
        )
    return np.ascontiguousarray(values).reshape(-1)
