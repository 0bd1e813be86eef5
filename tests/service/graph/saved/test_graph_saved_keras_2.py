"""SavedModel folders of Keras 2: every layer that is found in the graph computes what Keras 2 computes."""

import numpy as np
import pytest
from graph_models import made_ready

from layerscope.graph.saved.model import trace_saved_model
from layerscope.graph.taps.addresses import parse_address

FOLDERS = {
    "steps": {"lstm", "gru", "both", "both/forward_lstm", "steps_of", "simple", "scores"},
    "videos": {"conv_lstm", "conv"},
    "images": {
        "conv",
        "normal",
        "block",
        "block:1",
        "block/tail/separable",
        "block/tail/separable:1",
        "head/dense",
        "scores",
    },
    "chain": {
        *("conv", "inner", "inner/b%2Fexpand", "inner/b%2Fexpand%2FBatchNorm", "inner/b%2Fexpand%2Frelu"),
        *("bent", "flat", "dense", "scores"),
    },
    "mixed": {"conv", "normal", "flat", "scores"},
}
"""Layers of each that leave something in the graph."""


@pytest.mark.parametrize("name", FOLDERS)
def test_layers_compute_what_keras_2_computes(keras_2_files, name):
    made = made_ready(None, trace_saved_model(keras_2_files / f"{name}.savedmodel"))
    assert made.trace.opened_with.startswith("tensorflow ")
    with np.load(keras_2_files / f"{name}.npz") as arrays:
        expected, inputs = dict(arrays), [arrays["arr_0"]]
    (_, output), found = made.trace.outputs[0], set(made.addresses)
    assert found >= FOLDERS[name]
    expected[output.address] = expected["output 0"]
    for address in found & expected.keys():
        if parse_address(address).path[-1] == "each":
            continue  # One row for each step.
        actual, value = (
            made.value(address, on=inputs).astype(np.float64),
            expected[address].astype(np.float64),
        )
        relative = 1e-3 if expected[address].dtype == np.float16 else 1e-4
        assert actual.shape == value.shape, address
        assert np.abs(actual - value).max() <= relative * np.abs(value).max(), address
