"""The datatypes of the protocol, and the numpy dtype of each."""

from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

BYTES = "BYTES"
"""The datatype of byte strings: here, image files and pictures."""

DTYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype(np.bool_),
    **{f"INT{bits}": np.dtype(f"<i{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": np.dtype(f"<u{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"FP{bits}": np.dtype(f"<f{bits // 8}") for bits in (16, 32, 64)},
}
"""The datatypes of a fixed size; binary tensors are little-endian."""

_NAMES = {dtype.name: name for name, dtype in DTYPES.items()} | {"bfloat16": "FP32"}


def datatype_of(dtype: str) -> str | None:
    """The datatype for the name of a numpy dtype: FP32 for bfloat16, None if the protocol has none."""
    return _NAMES.get(dtype)
