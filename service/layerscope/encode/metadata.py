"""What travels with the values: the model, the images, and one row a layer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from layerscope.tensors.activations import Activation, Activations
from layerscope.tensors.statistics import Statistics


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """Where activations come from, and what of them is wanted.

    Attributes:
        model: the model's name.
        version: its version.
        digest: of the model's file, "sha256-" and hexadecimal digits.
        preprocessing: what was done to the images, by the name of the model's input; None where nothing was.
        values: whether the values themselves are sent; only JSON can leave them out.
        attribution: what the values explain, and how, if they are maps of an attribution.
        statistics: of the layers, by address, as they were before any option made them smaller.
    """

    model: str
    version: int
    digest: str
    preprocessing: Mapping[str, Mapping[str, Any] | None] = field(default_factory=dict)
    values: bool = True
    attribution: Mapping[str, Any] | None = None
    statistics: Mapping[str, Statistics] = field(default_factory=dict)


def document(activations: Activations, metadata: Metadata) -> dict[str, Any]:
    """Everything but the values, as JSON has it."""
    return {
        "model": {"name": metadata.model, "version": metadata.version, "digest": metadata.digest},
        "images": list(activations.images),
        "preprocessing": dict(metadata.preprocessing),
        "warnings": list(activations.warnings),
        **({} if metadata.attribution is None else {"attribution": metadata.attribution}),
        "layers": [_row(activation, metadata) for activation in activations.values()],
    }


def _row(activation: Activation, metadata: Metadata) -> dict[str, Any]:
    address = activation.tap.address
    row = {
        "address": address,
        "type": activation.tap.layer.type,
        "shape": list(activation.values.shape),
        "dtype": activation.values.dtype.name,
        "layout": activation.layout,
        "channel_axis": activation.channel_axis,
        "channels": None if activation.channels is None else activation.channels.tolist(),
        "nonfinite": activation.nonfinite,
    }
    if address in metadata.statistics:
        row["statistics"] = metadata.statistics[address].as_json()
    return row
