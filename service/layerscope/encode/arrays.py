"""The arrays of an answer, by the name each has in a binary file."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from layerscope.tensors.activations import Activations

Array = np.ndarray[Any, np.dtype[Any]]
Piece = bytes | memoryview
"""Some of the bytes of an answer. Those of large arrays are never put together: they lie where they were computed."""


def named_arrays(activations: Activations) -> dict[str, Array]:
    """Values by address, in graph order; uint8 ones are followed by `<address>@scale` and `<address>@offset`."""
    arrays = {}
    for address, activation in activations.items():
        arrays[address] = activation.values
        if activation.quantization is not None:
            arrays[f"{address}@scale"] = activation.quantization.scale
            arrays[f"{address}@offset"] = activation.quantization.offset
    return arrays


def in_order(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """The same, all C-contiguous and little-endian, and copied only if they were not so."""
    return {
        name: np.asarray(array, array.dtype.newbyteorder("<"), order="C") for name, array in arrays.items()
    }


def array_data(array: Array) -> memoryview:
    """The bytes of a C-contiguous array, not copied."""
    return array.reshape(-1).view(np.uint8).data
