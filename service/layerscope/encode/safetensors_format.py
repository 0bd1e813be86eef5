"""safetensors: 8 bytes of header length, a JSON header, then the data (https://github.com/huggingface/safetensors#format).

Written here because the library, as of 0.8, writes metadata in an order that changes from run to run (its issue 584),
while the same answer must have the same bytes. The library can read the result.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from layerscope.encode.arrays import Array, Buffer, array_data, in_order, named_arrays
from layerscope.encode.metadata import Metadata, document
from layerscope.tensors.activations import Activations

METADATA_KEY = "__metadata__"
"""The key of the metadata in the header, which no tensor may have."""

_ALIGNMENT = 64
"""The data begin at a multiple of this many bytes. Since tensors with wider items come first, every tensor begins at a
multiple of its item size: a typed array (JavaScript) or a NumPy view needs that alignment to use the bytes in place."""

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


def encode_safetensors(activations: Activations, metadata: Metadata) -> list[Buffer]:
    """Encode activations, the tensors with the widest items first. The header gives dtype, shape and position of each."""
    return safetensors_of(named_arrays(activations), _metadata(activations, metadata))


def safetensors_of(arrays: Mapping[str, Array], metadata: Mapping[str, str]) -> list[Buffer]:
    """Encode arrays by name, those with the widest items first, and texts about them."""
    ordered = _widest_first(in_order(arrays))
    return [_header(ordered, metadata), *map(array_data, ordered.values())]


def safetensors_size(activations: Activations, metadata: Metadata) -> int:
    """The exact number of bytes that `encode_safetensors` returns, without reading the values."""
    arrays = _widest_first(named_arrays(activations))
    return len(_header(arrays, _metadata(activations, metadata))) + sum(
        array.nbytes for array in arrays.values()
    )


def _widest_first(arrays: Mapping[str, Array]) -> dict[str, Array]:
    return dict(sorted(arrays.items(), key=lambda item: -item[1].itemsize))


def _header(arrays: Mapping[str, Array], metadata: Mapping[str, str]) -> bytes:
    header = orjson.dumps({METADATA_KEY: metadata, **_entries(arrays)})
    # The format allows spaces at the end of the header.
    header += b" " * (-(_LENGTH_BYTES + len(header)) % _ALIGNMENT)
    return len(header).to_bytes(_LENGTH_BYTES, "little") + header


def _metadata(activations: Activations, metadata: Metadata) -> dict[str, str]:
    """The metadata as the format demands them: strings only, so that objects and lists are JSON texts."""
    known = document(activations, metadata)
    nested = ("preprocessing", "images", "layers", "warnings", "edits", "tokens", "attribution")
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
