"""Attributions: heat maps as a NumPy array, with the targets that they explain."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self, TypedDict

import numpy as np

from layerscope_client._error_mapping import unreadable
from layerscope_client._notebook import number, picture, table
from layerscope_client._safetensors import Array, parse_safetensors
from layerscope_client._text import Token, tokens_of
from layerscope_client.errors import AnswerUnreadable


class MethodOption(TypedDict):
    """An option of an attribution method; a bound, or the choices, are None if it has none."""

    name: str
    default: Any
    meaning: str
    minimum: float | None
    maximum: float | None
    choices: list[str] | None


class AttributionMethod(TypedDict):
    """An attribution method: whether its maps are those of a layer or of an input (`place`), its cost and its paper."""

    name: str
    title: str
    place: str
    signed: bool
    target: bool
    cost: str
    paper: str
    options: list[MethodOption]


# "class" is a keyword, so this one cannot be written as a class.
Target = TypedDict(
    "Target",
    {
        "output": str,
        "address": str,
        "class": int | None,
        "name": str | None,
        "position": list[int] | None,
        "value": float | None,
        "score": str,
        "measured": str,
    },
)
"""The target of one image: an output, a class of it and its value; and the differentiated `score`: "logits", the
"log" of the probability, the "probability", or the "output" itself. `measured` is the address it was read from."""


class Explanation(TypedDict):
    """The method, options, targets and value ranges of heat maps: one target and one range per image.

    `features` are the names of the numbers of a vector that the maps lie over, if the model declares them.
    """

    method: str
    place: str
    layer: str
    features: list[str] | None
    options: dict[str, Any]
    signed: bool
    minimum: list[float | None]
    maximum: list[float | None]
    targets: list[Target]


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class Attribution:
    """Heat maps of the parts of images that an output depends on.

    Attributes:
        maps: float32 of shape (images, *places), as the paper of the method defines them, not scaled: rows and columns of
            an image, the steps of a series, a volume or frames, or the features of a vector. Each map covers the whole
            input of the model, whatever its own size.
        axes: What the axes of `maps` count, "batch" first.
        layer: The address of the layer, or of the input, that the maps belong to.
        explanation: The method, all its options, and the targets.
        model: The model that is explained, as "name@version".
        digest: The digest of that model.
        images: The ids of the images, in the order of the batch.
        warnings: Sentences for a person to read.
        tokens: Of each text, as in `Activations`.
    """

    maps: Array
    axes: tuple[str, ...]
    layer: str
    explanation: Explanation
    model: str
    digest: str
    images: tuple[str, ...]
    warnings: tuple[str, ...]
    tokens: tuple[tuple[Token, ...], ...] = ()

    @classmethod
    def of(cls, data: bytes) -> Self:
        """Read a safetensors answer.

        Raises:
            AnswerUnreadable: The answer is damaged, or not from a Layerscope service.
        """
        tensors, metadata = parse_safetensors(data)
        nested = ("layers", "attribution", "images", "warnings")
        try:
            identity = {name: metadata[name] for name in ("version", "digest")} | {"name": metadata["model"]}
            body = {"model": identity, **{name: json.loads(metadata[name]) for name in nested}}
            body["tokens"] = json.loads(metadata.get("tokens", "[]"))
        except (KeyError, ValueError):
            raise _no_attribution() from None
        return cls._from(body, lambda layer: tensors[layer["address"]])

    @classmethod
    def of_json(cls, body: Mapping[str, Any]) -> Self:
        """Read a JSON answer. NaN and infinities are all NaN, since JSON has null for each of them.

        Raises:
            AnswerUnreadable: The answer is not from a Layerscope service.
        """
        return cls._from(body, lambda layer: np.array(layer["values"], np.float32))

    @classmethod
    def _from(cls, body: Mapping[str, Any], maps: Callable[[Mapping[str, Any]], Array]) -> Self:
        try:
            (layer,) = body["layers"]
            model = body["model"]
            return cls(
                maps=maps(layer),
                axes=tuple(layer["axes"]),
                layer=layer["address"],
                explanation=body["attribution"],
                model=f"{model['name']}@{model['version']}",
                digest=model["digest"],
                images=tuple(body["images"]),
                warnings=tuple(body["warnings"]),
                tokens=tokens_of(body.get("tokens") or []),
            )
        except (KeyError, TypeError, ValueError):
            raise _no_attribution() from None

    @property
    def targets(self) -> list[Target]:
        """One target per image; empty for methods without a target."""
        return self.explanation["targets"]

    def resized(self, *sizes: int) -> Array:
        """The maps with other numbers of places, such as those of the input: linear between the centres of the values.

        Args:
            *sizes: One for each axis of places.
        """
        if len(sizes) != self.maps.ndim - 1:
            raise ValueError(f"Give a size for each of {', '.join(self.axes[1:])}.")
        maps = self.maps
        for axis, size in enumerate(sizes, 1):
            count = maps.shape[axis]
            at = np.clip((np.arange(size) + 0.5) * count / size - 0.5, 0, count - 1)
            first = at.astype(int)
            weight = (at - first).reshape(-1, *[1] * (maps.ndim - 1 - axis))
            low, high = maps.take(first, axis), maps.take(np.minimum(first + 1, count - 1), axis)
            maps = (low + (high - low) * weight).astype(np.float32)
        return maps

    def _repr_html_(self) -> str:
        targets = [target["name"] or target["class"] for target in self.targets] or [""] * len(self.maps)
        values = [target["value"] for target in self.targets] or [None] * len(self.maps)
        rows = [
            (
                image[:15],
                "" if name is None else name,
                number(value),
                picture(heat.reshape(-1, heat.shape[-1]), "heat map"),
            )
            for image, name, value, heat in zip(self.images, targets, values, self.maps, strict=True)
        ]
        title = f"{self.explanation['method']} of {self.model} over {self.layer}"
        return table(title, ("image", "explained", "its value", "heat map"), rows)

    def __repr__(self) -> str:
        shape = list(self.maps.shape)
        return f"<Attribution of {self.model} by {self.explanation['method']}: {self.layer} {shape}>"


def _no_attribution() -> AnswerUnreadable:
    return unreadable("it does not describe an attribution")
