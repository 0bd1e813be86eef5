"""Ablations: what each channel, place or layer does for an output, as a NumPy array and as bars in a notebook."""

import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self, TypedDict

import numpy as np

from layerscope_client._attribution import Target
from layerscope_client._error_mapping import unreadable
from layerscope_client._safetensors import Array

_BAR = "<div style='width:{width:.0f}px;height:10px;background:{color}'></div>"
_WIDTH = 200
_FOR, _AGAINST = "#1f77b4", "#d62728"

# "class" is a keyword, so these cannot be written as classes.
Clean = TypedDict("Clean", {"score": float | None, "output": float | None, "class": int | None})
"""What an image gives without a change: the score and the output of the target, and the most likely class."""

ClassChange = TypedDict("ClassChange", {"unit": int, "class": int})
"""A unit without which another class is the most likely one."""


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class Ablations:
    """The effect of each unit of a layer: what the target loses without it. Lists have one entry per image.

    Attributes:
        effects: float64 of shape (images, channels), (images, rows, columns) of places, or (images, layers); NaN for units that
            were not run, and for effects that are no numbers. What speaks for the target is positive.
        layers: The addresses of the layer whose units were taken away, or of the layers that were.
        by: What a unit is: "channel", "place" or "layer".
        metric: How the effect was measured: "score", "output" or "distance".
        regions: Of places, the box of each in pixels of the map, as `region` of an edit.
        complete: Whether every unit was run; otherwise those that a screening chose.
        targets: What the effects were measured on.
        clean: What the images give without a change.
        recoveries: With `patch`, how much of the way from the score of the image to that of the other each unit goes, as `effects`: 1
            for all of it, NaN where both are the same; else None.
        order: The units with the largest effect, largest first; places are numbered row by row.
        flips: The units without which another class is the most likely one.
        unchanged: The units that have the values already that were put in their place, such as dead channels.
        model: The model, as "name@version".
        digest: The digest of that model.
        images: The ids of the images, in the order of the batch.
        warnings: Sentences for a person to read.
    """

    effects: Array
    layers: tuple[str, ...]
    by: str
    metric: str
    regions: list[list[int]]
    complete: bool
    targets: list[Target]
    clean: list[Clean]
    recoveries: Array | None
    order: list[list[int]]
    flips: list[list[ClassChange]]
    unchanged: list[list[int]]
    model: str
    digest: str
    images: tuple[str, ...]
    warnings: tuple[str, ...]

    @classmethod
    def of_json(cls, body: Mapping[str, Any]) -> Self:
        """Read an answer.

        Raises:
            AnswerUnreadable: The answer is not from a Layerscope service.
        """
        try:
            model = body["model"]
            same = ("by", "metric", "regions", "complete", "targets", "clean", "order", "flips", "unchanged")
            return cls(
                effects=np.array(body["effects"], np.float64),
                layers=tuple(body["layers"]),
                recoveries=None if body["recoveries"] is None else np.array(body["recoveries"], np.float64),
                model=f"{model['name']}@{model['version']}",
                digest=model["digest"],
                images=tuple(body["images"]),
                warnings=tuple(body["warnings"]),
                **{name: body[name] for name in same},
            )
        except (KeyError, TypeError, ValueError):
            raise unreadable("it does not describe a sweep") from None

    def name(self, unit: int) -> str:
        """What a unit is called: the address of its layer, with its number where the layer has several."""
        return self.layers[unit] if self.by == "layer" else f"{self.layers[0]} {unit}"

    def __repr__(self) -> str:
        return (
            f"<Ablations of {self.model} by {self.by}: {', '.join(self.layers)} {list(self.effects.shape)}>"
        )

    def _repr_html_(self) -> str:
        return "".join(self._table(number) for number in range(len(self.images)))

    def _table(self, image: int) -> str:
        """The largest effects of one image as bars."""
        target, effects = self.targets[image], self.effects[image].ravel()
        longest = np.nanmax(np.abs(effects), initial=0) or 1.0
        what = target["name"] or ("the output" if target["class"] is None else f"class {target['class']}")
        rows = [
            f"<tr><td>{html.escape(self.name(unit))}</td><td style='text-align:right'>{effects[unit]:.3g}</td><td>"
            + _BAR.format(
                width=abs(effects[unit]) / longest * _WIDTH, color=_FOR if effects[unit] > 0 else _AGAINST
            )
            + "</td></tr>"
            for unit in self.order[image]
        ]
        caption = html.escape(f"{self.metric} of {what}: what is lost without the {self.by}")
        return f"<table><caption>{caption}</caption>{''.join(rows)}</table>"
