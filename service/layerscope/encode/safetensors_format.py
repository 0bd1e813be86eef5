"""Activations as a safetensors file (https://github.com/huggingface/safetensors#format).

Written here because the library, as of 0.8, puts metadata in an order that changes from run to run (its issue
584), while the same answer must be the same bytes. The library reads what is written.
"""

from typing import Any

import orjson

from layerscope.activations import Activations
from layerscope.encode.about import About, document
from layerscope.encode.arrays import Array, array_data, named_arrays
from layerscope.errors import UnsupportedFormat

_METADATA = "__metadata__"

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


def encode_safetensors(activations: Activations, about: About) -> bytes:
    """Write the tensors, those with the widest items first, after a header that says what and where they are.

    Raises:
        UnsupportedFormat: a layer has the one name that the format keeps for itself.
    """
    arrays = named_arrays(activations)
    if _METADATA in arrays:
        raise UnsupportedFormat(f"safetensors has no room for a layer called {_METADATA}: use format=npz.")
    ordered = dict(sorted(arrays.items(), key=lambda item: -item[1].itemsize))
    header = orjson.dumps({_METADATA: _metadata(activations, about), **_entries(ordered)})
    header += b" " * (-(_LENGTH_BYTES + len(header)) % _ALIGNMENT)
    return b"".join(
        [len(header).to_bytes(_LENGTH_BYTES, "little"), header, *map(array_data, ordered.values())]
    )


def _metadata(activations: Activations, about: About) -> dict[str, str]:
    known = document(activations, about)
    nested = ("preprocessing", "images", "layers", "warnings")
    return {
        "format": "layerscope",
        "model": about.model,
        "version": str(about.version),
        "digest": about.digest,
        **{name: orjson.dumps(known[name]).decode() for name in nested},
    }


def _entries(arrays: dict[str, Array]) -> dict[str, dict[str, Any]]:
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
