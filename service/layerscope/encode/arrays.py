"""Arrays of an answer, by their names in binary files."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from layerscope.tensors.activations import Activations

Array = np.ndarray[Any, np.dtype[Any]]
Buffer = bytes | memoryview
"""A part of the body of an answer. Large arrays are sent from the memory in which they were computed, without a copy."""


def named_arrays(activations: Activations) -> dict[str, Array]:
    """The values of each layer by address, in graph order. Quantized ones are followed by `@scale` and `@offset` arrays.

    Their names are `<address>@scale` and `<address>@offset`.
    """
    arrays = {}
    for address, activation in activations.items():
        arrays[address] = activation.values
        if activation.quantization is not None:
            arrays[f"{address}@scale"] = activation.quantization.scale
            arrays[f"{address}@offset"] = activation.quantization.offset
    return arrays


def in_order(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """The arrays, C-contiguous and little-endian; those that are so already are not copied."""
    return {
        name: np.asarray(array, array.dtype.newbyteorder("<"), order="C") for name, array in arrays.items()
    }


def array_data(array: Array) -> memoryview:
    """The bytes of a C-contiguous array, without a copy."""
    return array.reshape(-1).view(np.uint8).data
