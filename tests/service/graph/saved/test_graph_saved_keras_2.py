"""SavedModel folders of Keras 2: every layer that is found in the graph computes what Keras 2 computes."""

import shutil

import numpy as np
import pytest
from graph_models import made_ready
from kinds_table import within

from layerscope.errors import ModelRefused
from layerscope.graph.prepared.devices import has_gpu
from layerscope.graph.saved.model import trace_saved_model

pytestmark = pytest.mark.wide

FOLDERS = {
    "steps": {
        "steps": "InputLayer",
        "lstm": "LSTM",
        "gru": "GRU",
        "both": "Bidirectional",
        "both/forward_lstm": "LSTM",
        "steps_of": "TimeDistributed",
        "steps_of/each": "Dense",
        "simple": "SimpleRNN",
        "scores": "Dense",
    },
    "videos": {"conv_lstm": "ConvLSTM2D", "conv": "Conv3D"},
    "images": {
        "tf.nn.relu6": "TFOpLambda",
        "conv": "Conv2D",
        "normal": "BatchNormalization",
        "block": "Functional",
        "block:1": "Functional",
        "block/tail": "Sequential",
        "block/tail/separable": "SeparableConv2D",
        "block/tail/separable:1": "SeparableConv2D",
        "block/tail/dropped": "SpatialDropout2D",
        "head/dense": "Dense",
        "scores": "Softmax",
    },
    "chain": {
        "conv": "Conv2D",
        "inner": "Functional",
        "inner/b%2Fexpand": "Conv2D",
        "inner/b%2Fexpand%2FBatchNorm": "BatchNormalization",
        "inner/b%2Fexpand%2Frelu": "ReLU",
        "bent": "LeakyReLU",
        "flat": "Flatten",
        "dense": "Dense",
        "scores": "Dense",
    },
    "words": {"embedded": "Embedding", "joined": "Concatenate", "dense": "Dense", "lstm": "LSTM"},
    "mixed": {"conv": "Conv2D", "normal": "BatchNormalization", "flat": "Flatten", "scores": "Dense"},
}
"""Layers of each that leave something in the graph, and their classes, which the folder tells."""


@pytest.mark.parametrize("name", FOLDERS)
def test_layers_are_those_of_keras_2_and_compute_what_they_compute(keras_2_files, name):
    made = made_ready(None, trace_saved_model(keras_2_files / f"{name}.savedmodel"))
    assert made.trace.opened_with.startswith("tensorflow ")
    types = {tap.address: tap.layer.type for tap in made.index.outputs()}
    assert types.items() >= FOLDERS[name].items()
    with np.load(keras_2_files / f"{name}.npz") as arrays:
        expected, inputs = dict(arrays), [arrays["arr_0"]]
    (_, output), found = made.trace.outputs[0], set(made.addresses)
    expected[output.address] = expected["output 0"]
    for address in found & expected.keys():
        value = expected[address].astype(np.float64)
        # What a `TimeDistributed` wraps has a row for each step.
        actual = made.value(address, on=inputs).astype(np.float64).reshape(value.shape)
        assert np.abs(actual - value).max() <= within(name) * np.abs(value).max(), address


def test_axes_that_the_class_of_a_layer_tells(keras_2_files):
    made = made_ready(None, trace_saved_model(keras_2_files / "videos.savedmodel"))
    assert made.index["conv_lstm"].axes == ("time", "height", "width", "channels")


def test_layers_that_only_a_gpu_runs(keras_2_files):
    if has_gpu():
        pytest.skip("they run here")
    with pytest.raises(ModelRefused, match="only a GPU runs: save the model with Keras 2"):
        trace_saved_model(keras_2_files / "cudnn.savedmodel")


@pytest.mark.parametrize("change", [b"", b"noise" * 99, None])
def test_without_descriptions_types_are_estimated_from_operations(keras_2_files, tmp_path, change):
    folder = shutil.copytree(keras_2_files / "chain.savedmodel", tmp_path / "chain")
    if change is None:
        (folder / "keras_metadata.pb").unlink()
    else:
        (folder / "keras_metadata.pb").write_bytes(change)
    made = made_ready(None, trace_saved_model(folder))
    types = {tap.address: tap.layer.type for tap in made.index.outputs()}
    assert (types["bent"], types["inner"]) == ("LeakyReLU", "Group")
