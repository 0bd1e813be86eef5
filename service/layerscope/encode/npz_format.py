"""npz: a zip archive with one `<address>.npy` per layer, and `metadata.json`."""

import io
import zipfile

import orjson

from layerscope.encode.arrays import Buffer, array_data, in_order, named_arrays
from layerscope.encode.metadata import Metadata, document
from layerscope.encode.npy_format import npy_header
from layerscope.tensors.activations import Activations

_MEMBER_BYTES = 256
"""Upper bound of the bytes of a member's two zip headers, without its name, which each of them repeats."""


def encode_npz(activations: Activations, metadata: Metadata) -> list[Buffer]:
    """Encode activations as an archive, uncompressed because activations hardly shrink.

    Written here because `numpy.savez` takes layers as keyword arguments and refuses those named like its own parameters,
    such as `file`. Members have the date 1980-01-01, so that the same activations give the same bytes.
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
    """Most bytes that `encode_npz` returns, without reading the values."""
    arrays = named_arrays(activations)
    members = sum(
        _MEMBER_BYTES + 2 * len(name.encode()) + len(npy_header(array)) + array.nbytes
        for name, array in arrays.items()
    )
    return members + 2 * _MEMBER_BYTES + len(orjson.dumps(document(activations, metadata)))
