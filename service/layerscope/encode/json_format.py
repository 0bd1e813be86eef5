"""Activations as JSON: one document, values as nested lists. NaN and infinities, which JSON lacks, are null."""

import numpy as np
import orjson

from layerscope.activations import Activations
from layerscope.encode.about import About, document


def encode_json(activations: Activations, about: About) -> bytes:
    """Write the whole answer. Floating-point values have as few digits as read back to the same value."""
    answer = document(activations, about)
    for row, activation in zip(answer["layers"], activations.values(), strict=True):
        if activation.quantization is not None:
            row["scale"] = activation.quantization.scale
            row["offset"] = activation.quantization.offset
        if about.values:
            row["values"] = np.asarray(activation.values, order="C")
    return orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)
