"""Interventions: what edits do to outputs and layers, as a service describes it."""

from typing import Any, TypedDict

from layerscope_client._attribution import Target


class ChangedOutput(TypedDict):
    """An output without edits and under them: its best classes, one list an image; None if it is no vector."""

    name: str
    address: str
    shape: list[int]
    clean: list[list[dict[str, Any]]] | None
    edited: list[list[dict[str, Any]]] | None
    flipped: list[bool] | None


class EffectRow(TypedDict):
    """How much smaller the score and the output of a target are under the edits.

    `recovery` is None unless they patch in values of one other image: how much of the way to its score they go, 1 for all of it.
    """

    score: float | None
    output: float | None
    recovery: float | None


class ChangedLayer(TypedDict):
    """How far the values of a layer are from those without edits; `relative_l2` is None for a change from nothing but zeros."""

    address: str
    relative_l2: float | None
    cosine: float
    max: float


class Intervention(TypedDict):
    """What edits do to images.

    Attributes:
        model: The model.
        images: The ids of the images.
        preprocessing: The preprocessing of the images.
        warnings: Sentences for a person to read.
        edits: The edits, each of one layer by its address.
        outputs: Each output, without edits and under them.
        targets: What the effects were measured on, one per image.
        effects: What the targets lose, one per image.
        layers: The change of each layer, over all images.
    """

    model: dict[str, Any]
    images: list[str]
    preprocessing: dict[str, Any]
    warnings: list[str]
    edits: list[str]
    outputs: list[ChangedOutput]
    targets: list[Target]
    effects: list[EffectRow]
    layers: list[ChangedLayer]
