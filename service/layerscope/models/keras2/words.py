"""The words of older versions that the last version of Keras 2 does not read, in configurations of HDF5 files."""

from collections.abc import Mapping
from typing import Any

_ON_EVERY_DEVICE: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "CuDNNLSTM": ("LSTM", {"recurrent_activation": "sigmoid"}),
    "CuDNNGRU": ("GRU", {"recurrent_activation": "sigmoid", "reset_after": True}),
    "UnifiedLSTM": ("LSTM", {}),
    "UnifiedGRU": ("GRU", {}),
}
"""Layers that compute on GPUs only, or had another name for a while, and the arguments of the same layer today.

Keras 2 arranges the weights of the first two anew when it loads them into the others.
"""


def readable(node: Any) -> Any:
    """A configuration of a model, a layer or a part of one, in the words of the last version of Keras 2."""
    if isinstance(node, list):
        return [readable(each) for each in node]
    if not isinstance(node, dict):
        return node
    if node.keys() == {"type", "value"}:
        # A number of NumPy, as Keras 2.2 wrote the slope of a LeakyReLU or the threshold of a ThresholdedReLU.
        return readable(node["value"])
    node = {key: readable(value) for key, value in node.items()}
    name, arguments = _ON_EVERY_DEVICE.get(str(node.get("class_name")), (None, {}))
    if name is not None and isinstance(node.get("config"), dict):
        return {**node, "class_name": name, "config": {**node["config"], **arguments}}
    return node
