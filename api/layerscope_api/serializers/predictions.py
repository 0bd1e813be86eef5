"""Predictions as JSON: the most likely classes of each output."""

from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from layerscope.execution.interface import Result
from layerscope.graph.analysis.output_classes import OutputClasses
from layerscope.graph.model import ModelDescription
from layerscope.tensors.activations import Activation, Activations
from layerscope.tensors.spec import TensorSpec
from layerscope_api.serializers.models import result_origin

_BYTES_PER_VALUE = 16
"""The value in float64, and its index in the sorted order."""

_BYTES_PER_CLASS = 1_024


def predictions_json(result: Result, top: int) -> bytes:
    """The `top` most likely classes of every output, with the origin of the result."""
    return orjson.dumps({**result_origin(result), "outputs": predictions(result, top)})


def predictions(result: Result, top: int) -> list[dict[str, Any]]:
    """The `top` most likely classes of every output, for each image."""
    return predictions_of(result.model, result.activations, top)


def predictions_of(model: ModelDescription, found: Activations, top: int) -> list[dict[str, Any]]:
    """The `top` most likely classes of every output of some values, for each image."""
    return [_output(model, name, found[tap.address], top) for name, tap in model.outputs]


def prediction_bytes(spec: TensorSpec, top: int) -> int:
    """The bytes of memory that the predictions of an output take. A single value can stand for two classes."""
    rows = spec.shape[0] * min(top, max([2, *spec.shape[1:]])) if len(spec.shape) <= 2 else 0
    return _BYTES_PER_VALUE * spec.size + _BYTES_PER_CLASS * rows


def _output(model: ModelDescription, name: str, output: Activation, top: int) -> dict[str, Any]:
    values, classes = output.values, model.output_classes[name]
    is_number = output.tap.tensor.batched and not output.tap.shape
    rows = values[:, np.newaxis] if is_number and values.ndim == 1 else values
    return {
        "name": name,
        "address": output.tap.address,
        "shape": list(values.shape),
        "predictions": [_most_likely(row, classes, top) for row in classes.values(rows)]
        if rows.ndim == 2
        else None,
    }


def _most_likely(row: NDArray[np.float64], classes: OutputClasses, top: int) -> list[dict[str, Any]]:
    """The highest values first, equal values by class, NaN last (as null)."""
    order = np.argsort(-row, kind="stable")[:top]
    return [
        {"class": int(index), "name": classes.name(int(index)), "value": float(row[index])} for index in order
    ]
