"""Activations as an .npz file: a zip archive of one `<address>.npy` a layer, and `metadata.json`."""

import io
import zipfile

import orjson

from layerscope.activations import Activations
from layerscope.encode.about import About, document
from layerscope.encode.arrays import array_data, named_arrays
from layerscope.encode.npy_format import npy_header


def encode_npz(activations: Activations, about: About) -> bytes:
    """Write the archive: uncompressed, because activations hardly shrink, and without the time of day.

    `numpy.savez` would refuse layers that are called as its own parameters are.
    """
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, array in named_arrays(activations).items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                member.write(npy_header(array))
                member.write(array_data(array))
        archive.writestr(zipfile.ZipInfo("metadata.json"), orjson.dumps(document(activations, about)))
    return file.getvalue()
