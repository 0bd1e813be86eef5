"""The response to a request for inference: its JSON, followed by the tensors in binary.

Binary tensors are not copied. JSON has no NaN and no infinities: they become null.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from layerscope.encode import Buffer, json_pieces
from layerscope.encode.arrays import array_data
from layerscope.errors import UnsupportedFormat
from layerscope_api.inference_protocol import byte_strings
from layerscope_api.inference_protocol.datatypes import BYTES, Array, datatype_of


@dataclass(frozen=True)
class OutputTensor:
    """An output tensor: an array with the batch axis first, or one byte string for each image. `binary`: not in the JSON."""

    name: str
    values: Array | Sequence[bytes]
    binary: bool


@dataclass(frozen=True)
class InferenceResponse:
    """The body of a response as a list of buffers. `json_length`: the bytes of JSON; None if the whole body is JSON."""

    buffers: list[Buffer]
    json_length: int | None

    @property
    def media_type(self) -> str:
        """The media type of the body."""
        return "application/json" if self.json_length is None else "application/octet-stream"


def write_inference_response(head: Mapping[str, Any], outputs: Sequence[OutputTensor]) -> InferenceResponse:
    """Write the response with its outputs.

    Args:
        head: the keys before `outputs`: the model's name and version, the id of the request, and the seed.
        outputs: the output tensors, in the order of the request.

    Raises:
        UnsupportedFormat: an output in JSON is FP16, which the protocol allows in binary only.
    """
    binary_data: list[Buffer] = []
    entries = []
    for output in outputs:
        is_bytes = not isinstance(output.values, np.ndarray)
        entry = _described(output)
        if output.binary:
            data = _bytes(output.values)
            entry["parameters"] = {"binary_data_size": sum(memoryview(each).nbytes for each in data)}
            binary_data += data
        elif is_bytes:
            entry["data"] = [byte_strings.to_text(each) for each in output.values]
        else:
            entry["data"] = _flat(output)
        entries.append(entry)
    text = json_pieces({**head, "outputs": entries})
    has_tensors = any(output.binary for output in outputs)
    return InferenceResponse([*text, *binary_data], sum(map(len, text)) if has_tensors else None)


def _described(output: OutputTensor) -> dict[str, Any]:
    values = output.values
    if not isinstance(values, np.ndarray):
        return {"name": output.name, "datatype": BYTES, "shape": [len(values)]}
    return {"name": output.name, "datatype": datatype_of(values.dtype.name), "shape": list(values.shape)}


def _bytes(values: Array | Sequence[bytes]) -> list[Buffer]:
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
