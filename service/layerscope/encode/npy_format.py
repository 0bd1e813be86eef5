"""The values of one layer as a .npy file (NEP 1), which names no layer: the answer's headers do."""

import io

from numpy.lib import format as npy

from layerscope.encode.arrays import Array, Piece, array_data, in_order, named_arrays
from layerscope.encode.metadata import Metadata
from layerscope.tensors.activations import Activations


def encode_npy(activations: Activations, metadata: Metadata) -> list[Piece]:  # noqa: ARG001
    """Write the only layer there is."""
    (array,) = in_order(named_arrays(activations)).values()
    return [npy_header(array), array_data(array)]


def npy_size(activations: Activations, metadata: Metadata) -> int:  # noqa: ARG001
    """The bytes that `encode_npy` writes. The values are not looked at."""
    (array,) = named_arrays(activations).values()
    return len(npy_header(array)) + array.nbytes


def npy_header(array: Array) -> bytes:
    """What stands before the data in a .npy file."""
    file = io.BytesIO()
    npy.write_array_header_1_0(file, npy.header_data_from_array_1_0(array))
    return file.getvalue()
