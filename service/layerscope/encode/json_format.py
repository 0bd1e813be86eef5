"""Activations as JSON: one document, values as nested lists. NaN and infinities, which JSON lacks, are null."""

import numpy as np
import orjson

from layerscope.encode.arrays import Piece
from layerscope.encode.metadata import Metadata, document
from layerscope.encode.size_check import json_bytes
from layerscope.tensors.activations import Activations

_KEY_BYTES = 64
"""More than the keys of a layer's values, scale and offset take."""


def encode_json(activations: Activations, metadata: Metadata) -> list[Piece]:
    """Write the whole answer. Floating-point values have as few digits as read back to the same value."""
    answer = document(activations, metadata)
    for row, activation in zip(answer["layers"], activations.values(), strict=True):
        if activation.quantization is not None:
            row["scale"] = activation.quantization.scale
            row["offset"] = activation.quantization.offset
        if metadata.values:
            row["values"] = np.asarray(activation.values, order="C")
    return [orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)]


def json_size(activations: Activations, metadata: Metadata) -> int:
    """The bytes that `encode_json` writes at most. The values are not looked at."""
    said = len(orjson.dumps(document(activations, metadata)))
    return said + sum(_KEY_BYTES + json_bytes(each.spec, metadata.values) for each in activations.values())
