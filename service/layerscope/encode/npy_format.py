"""npy: the values of one layer (NumPy enhancement proposal 1). The layer is named in the headers of the answer."""

import io

from numpy.lib import format as npy

from layerscope.encode.arrays import Array, Buffer, array_data, in_order, named_arrays
from layerscope.encode.metadata import Metadata
from layerscope.tensors.activations import Activations


def encode_npy(activations: Activations, metadata: Metadata) -> list[Buffer]:  # noqa: ARG001
    """Encode activations of exactly one layer."""
    (array,) = in_order(named_arrays(activations)).values()
    return [npy_header(array), array_data(array)]


def npy_size(activations: Activations, metadata: Metadata) -> int:  # noqa: ARG001
    """The exact number of bytes that `encode_npy` returns, without reading the values."""
    (array,) = named_arrays(activations).values()
    return len(npy_header(array)) + array.nbytes


def npy_header(array: Array) -> bytes:
    """The header of a .npy file, version 1.0: everything before the data."""
    file = io.BytesIO()
    npy.write_array_header_1_0(file, npy.header_data_from_array_1_0(array))
    return file.getvalue()
