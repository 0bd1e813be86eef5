"""Activations as a safetensors file (https://github.com/huggingface/safetensors#format).

Written here because the library, as of 0.8, puts metadata in an order that changes from run to run (its issue
584), while the same answer must be the same bytes. The library reads what is written.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from layerscope.encode.arrays import Array, Piece, array_data, in_order, named_arrays
from layerscope.encode.metadata import Metadata, document
from layerscope.tensors.activations import Activations

METADATA_KEY = "__metadata__"
"""The one name that the format keeps for itself."""

_ALIGNMENT = 64
"""The data begin at a multiple of this, and every tensor at one of its item size: typed arrays can view them."""

_LENGTH_BYTES = 8

_DTYPES = {
    "bool": "BOOL",
    **{
        f"{kind}{bits}": f"{letter}{bits}"
        for kind, letter in (("int", "I"), ("uint", "U"))
        for bits in (8, 16, 32, 64)
    },
    **{f"float{bits}": f"F{bits}" for bits in (16, 32, 64)},
}


def encode_safetensors(activations: Activations, metadata: Metadata) -> list[Piece]:
    """Write the tensors, those with the widest items first, after a header that says what and where they are."""
    arrays = _widest_first(in_order(named_arrays(activations)))
    return [_header(arrays, activations, metadata), *map(array_data, arrays.values())]


def safetensors_size(activations: Activations, metadata: Metadata) -> int:
    """The bytes that `encode_safetensors` writes. The values are not looked at."""
    arrays = _widest_first(named_arrays(activations))
    return len(_header(arrays, activations, metadata)) + sum(array.nbytes for array in arrays.values())


def _widest_first(arrays: Mapping[str, Array]) -> dict[str, Array]:
    return dict(sorted(arrays.items(), key=lambda item: -item[1].itemsize))


def _header(arrays: Mapping[str, Array], activations: Activations, metadata: Metadata) -> bytes:
    header = orjson.dumps({METADATA_KEY: _metadata(activations, metadata), **_entries(arrays)})
    header += b" " * (-(_LENGTH_BYTES + len(header)) % _ALIGNMENT)
    return len(header).to_bytes(_LENGTH_BYTES, "little") + header


def _metadata(activations: Activations, metadata: Metadata) -> dict[str, str]:
    known = document(activations, metadata)
    nested = ("preprocessing", "images", "layers", "warnings", "attribution")
    return {
        "format": "layerscope",
        "model": metadata.model,
        "version": str(metadata.version),
        "digest": metadata.digest,
        **{name: orjson.dumps(known[name]).decode() for name in nested if name in known},
    }


def _entries(arrays: Mapping[str, Array]) -> dict[str, dict[str, Any]]:
    entries = {}
    start = 0
    for name, array in arrays.items():
        end = start + array.nbytes
        entries[name] = {
            "dtype": _DTYPES[array.dtype.name],
            "shape": array.shape,
            "data_offsets": [start, end],
        }
        start = end
    return entries
