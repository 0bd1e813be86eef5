"""JSON: one document, values as nested lists; NaN and infinities, which JSON lacks, become null."""

import numpy as np
import orjson

from layerscope.encode.arrays import Buffer
from layerscope.encode.json_pieces import json_pieces
from layerscope.encode.metadata import Metadata, document
from layerscope.encode.size_check import json_bytes
from layerscope.tensors.activations import Activations

_KEY_BYTES = 64
"""Upper bound of the bytes of the keys `values`, `scale` and `offset` of a layer."""


def encode_json(activations: Activations, metadata: Metadata) -> list[Buffer]:
    """Encode activations as JSON. A floating-point number has the fewest digits that read back to the same value."""
    answer = document(activations, metadata)
    for row, activation in zip(answer["layers"], activations.values(), strict=True):
        if activation.quantization is not None:
            row["scale"] = activation.quantization.scale
            row["offset"] = activation.quantization.offset
        if metadata.values:
            row["values"] = np.asarray(activation.values, order="C")
    return json_pieces(answer)


def json_size(activations: Activations, metadata: Metadata) -> int:
    """Most bytes that `encode_json` returns, without reading the values."""
    metadata_bytes = len(orjson.dumps(document(activations, metadata)))
    return metadata_bytes + sum(
        _KEY_BYTES + json_bytes(each.spec, metadata.values) for each in activations.values()
    )
