"""What a model says of images, as the service answers it: the likeliest classes of each output."""

from typing import Any

import numpy as np

from layerscope.execution.interface import Result
from layerscope.graph.model import ModelDescription
from layerscope.tensors.activations import Activation
from layerscope.tensors.spec import TensorSpec

_BYTES_A_VALUE, _BYTES_A_ROW = 16, 1_024


def predicted(result: Result, top: int) -> list[dict[str, Any]]:
    """The `top` likeliest classes of every output, for each image."""
    return [
        _output(result.model, name, result.activations[tap.address], top)
        for name, tap in result.model.outputs
    ]


def building_bytes(spec: TensorSpec, top: int) -> int:
    """What telling an output takes: its values in float64, in order, and a row of the answer a class."""
    rows = spec.shape[0] * min(top, spec.shape[1]) if len(spec.shape) == 2 else 0
    return _BYTES_A_VALUE * spec.size + _BYTES_A_ROW * rows


def _output(model: ModelDescription, name: str, output: Activation, top: int) -> dict[str, Any]:
    values = output.values.astype(np.float64)
    is_vector = values.ndim == 2
    return {
        "name": name,
        "address": output.tap.address,
        "shape": list(values.shape),
        "predictions": [_most_likely(row, model.classes, top) for row in values] if is_vector else None,
    }


def _most_likely(
    row: np.ndarray[Any, Any], classes: tuple[str, ...] | None, top: int
) -> list[dict[str, Any]]:
    """The highest values first, equal ones by class, NaN last (as null)."""
    order = np.argsort(-row, kind="stable")[:top]
    names = classes if classes is not None and len(classes) == len(row) else None
    return [
        {"class": int(index), "name": names[index] if names else None, "value": float(row[index])}
        for index in order
    ]
