"""Metadata of an answer: the model, the images, and one row per layer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from layerscope.tensors.activations import Activation, Activations
from layerscope.tensors.statistics import Statistics
from layerscope.text import Token


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """The origin of activations, and which parts of them are sent.

    Attributes:
        model: The name of the model.
        version: The version of the model.
        digest: The digest of the model's file, "sha256-" and hexadecimal digits.
        preprocessing: The preprocessing of the images, by name of the model's input; None for an input without one.
        values: Whether the values themselves are sent; only JSON can leave them out.
        attribution: The method, options and targets, if the values are heat maps of an attribution.
        statistics: The statistics of the layers by address, computed before any option made the values smaller.
    """

    model: str
    version: int
    digest: str
    preprocessing: Mapping[str, Mapping[str, Any] | None] = field(default_factory=dict)
    values: bool = True
    attribution: Mapping[str, Any] | None = None
    statistics: Mapping[str, Statistics] = field(default_factory=dict)


def document(activations: Activations, metadata: Metadata) -> dict[str, Any]:
    """The metadata as a JSON object."""
    return {
        "model": {"name": metadata.model, "version": metadata.version, "digest": metadata.digest},
        "images": list(activations.images),
        "preprocessing": dict(metadata.preprocessing),
        "warnings": list(activations.warnings),
        **({"edits": list(activations.edits)} if activations.edits else {}),
        **({} if activations.seed is None else {"seed": activations.seed}),
        **({"tokens": tokens_json(activations.tokens)} if activations.tokens else {}),
        **({} if metadata.attribution is None else {"attribution": metadata.attribution}),
        "layers": [_row(activation, metadata) for activation in activations.values()],
    }


def tokens_json(tokens: Sequence[Sequence[Token]]) -> list[list[dict[str, Any]]]:
    """The tokens of each text."""
    return [
        [{"text": each.text, "id": each.id, "start": each.start, "end": each.end} for each in text]
        for text in tokens
    ]


def _row(activation: Activation, metadata: Metadata) -> dict[str, Any]:
    address = activation.tap.address
    row = {
        "address": address,
        "type": activation.tap.layer.type,
        "shape": list(activation.values.shape),
        "dtype": activation.values.dtype.name,
        "layout": activation.layout,
        "axes": list(activation.axes),
        "channel_axis": activation.channel_axis,
        "channels": None if activation.channels is None else activation.channels.tolist(),
        "nonfinite": activation.nonfinite,
    }
    if address in metadata.statistics:
        row["statistics"] = metadata.statistics[address].as_json()
    return row
