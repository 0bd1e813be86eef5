"""Activations as an .npz file: a zip archive of one `<address>.npy` a layer, and `metadata.json`."""

import io
import zipfile

import orjson

from layerscope.encode.arrays import Piece, array_data, in_order, named_arrays
from layerscope.encode.metadata import Metadata, document
from layerscope.encode.npy_format import npy_header
from layerscope.tensors.activations import Activations

_MEMBER_BYTES = 256
"""More than an archive says of a member, apart from its name, which it has twice."""


def encode_npz(activations: Activations, metadata: Metadata) -> list[Piece]:
    """Write the archive: uncompressed, because activations hardly shrink, and without the time of day.

    `numpy.savez` would refuse layers that are called as its own parameters are.
    """
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, array in in_order(named_arrays(activations)).items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                member.write(npy_header(array))
                member.write(array_data(array))
        archive.writestr(zipfile.ZipInfo("metadata.json"), orjson.dumps(document(activations, metadata)))
    return [file.getbuffer()]


def npz_size(activations: Activations, metadata: Metadata) -> int:
    """The bytes that `encode_npz` writes at most. The values are not looked at."""
    arrays = named_arrays(activations)
    members = sum(
        _MEMBER_BYTES + 2 * len(name.encode()) + len(npy_header(array)) + array.nbytes
        for name, array in arrays.items()
    )
    return members + 2 * _MEMBER_BYTES + len(orjson.dumps(document(activations, metadata)))
