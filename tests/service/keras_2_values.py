"""What Keras 2 computed in a process of its own, beside what a model of the service computes."""

import numpy as np
from graph_models import made_ready

from layerscope.graph.saved.model import trace_saved_model
from layerscope.graph.taps.addresses import encode_path, parse_address
from layerscope.graph.tracing.signature import signature_of
from layerscope.graph.tracing.trace import trace
from layerscope.models.formats import open_model

NOT_CALLED = ("conv_lstm", "conv_lstm_cell")
"""Keras 2 runs the code of this cell in a loop, and does not call it as a layer."""


def opened(path):
    """The model in a file, or in a SavedModel folder."""
    if path.is_dir():
        return made_ready(None, trace_saved_model(path))
    model = open_model(path)
    return made_ready(model, trace(model, signature_of(model)))


def relative_errors_to_keras_2(made, folder, name):
    """By address of every call that Keras 2 made: the largest difference as a part of the largest magnitude.

    Args:
        made: a model that was opened from a file.
        folder: that of the files of `keras_2_models`.
        name: of the model there.

    Raises:
        AssertionError: a call has no tap, or a value another shape.
    """
    inputs, expected, outputs = reference(folder, name)
    hidden = [NOT_CALLED, *(parse_address(path).path for path in made.trace.unreachable)]
    expected = {
        address: value for address, value in expected.items() if parse_address(address).path not in hidden
    }
    actual = made.values("all", on=inputs)
    assert {encode_path((each.name,)) for each in made.trace.inputs} == actual.keys() - expected.keys()
    assert expected.keys() <= actual.keys()
    for (_, tap), value in zip(made.trace.outputs, outputs, strict=True):
        expected[tap.address] = value
    # What a `TimeDistributed` wraps has a row for each step.
    return {
        address: _error(actual[address].reshape(value.shape), value) for address, value in expected.items()
    }


def reference(folder, name):
    """The inputs, the values of every call of a layer by address, and the outputs."""
    with np.load(folder / f"{name}.npz") as file:
        arrays = dict(file)
    inputs = [arrays.pop(key) for key in sorted(arrays) if key.startswith("arr_")]
    outputs = [arrays.pop(key) for key in sorted(arrays) if key.startswith("output ")]
    return inputs, arrays, outputs


def _error(actual, expected):
    actual, expected = actual.astype(np.float64), expected.astype(np.float64)
    return float(np.abs(actual - expected).max() / max(np.abs(expected).max(), 1e-12))
