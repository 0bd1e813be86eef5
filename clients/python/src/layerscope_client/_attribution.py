"""Attributions: heat maps as a numpy array, and what they explain."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self, TypedDict

import numpy as np

from layerscope_client._failures import unreadable
from layerscope_client._safetensors import Array, parse_safetensors
from layerscope_client.errors import AnswerUnreadable


class MethodOption(TypedDict):
    """An option of an attribution method; None where it has no such bound or choices."""

    name: str
    default: Any
    meaning: str
    minimum: float | None
    maximum: float | None
    choices: list[str] | None


class AttributionMethod(TypedDict):
    """An attribution method: what its maps lie over (`place`), what it costs, and where it comes from."""

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
"""What is explained of one image: an output and a class of it, the value that it has, and what was differentiated:
the `score`, "logits" at `measured`, "log" of the output, or the "output" itself."""


class Explanation(TypedDict):
    """What heat maps explain, and how: one target and one range of values an image."""

    method: str
    place: str
    options: dict[str, Any]
    signed: bool
    minimum: list[float | None]
    maximum: list[float | None]
    targets: list[Target]


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class Attribution:
    """Where in images the reasons for an output lie.

    Attributes:
        maps: (images, height, width) float32, as the method's paper defines them, not scaled. Each covers the whole
            input of the model, whatever its own size.
        layer: The address of the layer or input that they lie over.
        explanation: What they explain, and how: the method and all its options.
        model: Which model is explained, as "name@version".
        digest: The digest of that model.
        images: The ids of the images, in the order of the batch.
        warnings: Sentences a person should read.
    """

    maps: Array
    layer: str
    explanation: Explanation
    model: str
    digest: str
    images: tuple[str, ...]
    warnings: tuple[str, ...]

    @classmethod
    def of(cls, data: bytes) -> Self:
        """Read a safetensors answer.

        Raises:
            AnswerUnreadable: Damaged, or not from a Layerscope service.
        """
        tensors, metadata = parse_safetensors(data)
        nested = ("layers", "attribution", "images", "warnings")
        try:
            identity = {name: metadata[name] for name in ("version", "digest")} | {"name": metadata["model"]}
            body = {"model": identity, **{name: json.loads(metadata[name]) for name in nested}}
        except (KeyError, ValueError):
            raise _other() from None
        return cls._made(body, lambda layer: tensors[layer["address"]])

    @classmethod
    def of_json(cls, body: Mapping[str, Any]) -> Self:
        """Read a JSON answer. Values that are not finite are NaN, whatever they were.

        Raises:
            AnswerUnreadable: Not from a Layerscope service.
        """
        return cls._made(body, lambda layer: np.array(layer["values"], np.float32))

    @classmethod
    def _made(cls, body: Mapping[str, Any], maps: Callable[[Mapping[str, Any]], Array]) -> Self:
        try:
            (layer,) = body["layers"]
            model = body["model"]
            return cls(
                maps=maps(layer),
                layer=layer["address"],
                explanation=body["attribution"],
                model=f"{model['name']}@{model['version']}",
                digest=model["digest"],
                images=tuple(body["images"]),
                warnings=tuple(body["warnings"]),
            )
        except (KeyError, TypeError, ValueError):
            raise _other() from None

    @property
    def targets(self) -> list[Target]:
        """What is explained, one an image; none where the method looks at no target."""
        return self.explanation["targets"]

    def __repr__(self) -> str:
        shape = list(self.maps.shape)
        return f"<Attribution of {self.model} by {self.explanation['method']}: {self.layer} {shape}>"


def _other() -> AnswerUnreadable:
    return unreadable("it does not describe an attribution")
