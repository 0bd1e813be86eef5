"""Read tensors out of answers, each format with the library that its users have."""

import io
import zipfile

import numpy as np
from httpx2 import Response
from safetensors.numpy import load


def tensors(answer: Response) -> dict[str, np.ndarray]:
    """The values by address, of an answer in any format."""
    assert answer.status_code == 200, answer.text[:500]
    match answer.headers["content-type"]:
        case "application/vnd.safetensors":
            return load(answer.content)
        case "application/x-npz":
            return _npz(answer.content)
        case "application/x-npy":
            return {answer.headers["x-layer"]: np.load(io.BytesIO(answer.content))}
    rows = answer.json()["layers"]
    return {row["address"]: np.array(row["values"], row["dtype"]).reshape(row["shape"]) for row in rows}


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference, in units of the layer's largest magnitude."""
    assert found.shape == expected.shape
    scale = float(np.abs(expected).max()) or 1.0
    return float(np.abs(found - expected).max()) / scale


def _npz(content: bytes) -> dict[str, np.ndarray]:
    archive = zipfile.ZipFile(io.BytesIO(content))
    names = [name for name in archive.namelist() if name.endswith(".npy")]
    return {name.removesuffix(".npy"): np.load(io.BytesIO(archive.read(name))) for name in names}
