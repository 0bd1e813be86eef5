"""Activations as numpy arrays by layer address."""

import difflib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from layerscope_client._error_mapping import unreadable
from layerscope_client._notebook import pictures_of, shape_text, table
from layerscope_client._safetensors import Array, parse_safetensors
from layerscope_client._text import Token, tokens_of

_SCALE = "@scale"
_OFFSET = "@offset"


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class Activations(Mapping[str, Array]):
    """The values of some layers for a batch: a mapping from layer address to array, in graph order.

    The arrays are (batch, ...), read-only, and views of the answer.

    Attributes:
        model: The model that computed them, as "name@version".
        digest: The digest of that model.
        images: The ids of the images, in the order of the batch.
        warnings: Sentences for a person to read.
        layers: Metadata of each layer, by address: type, shape, layout, axes (what each axis of the
            shape counts), channel_axis, channels, nonfinite, and statistics if requested.
        tokens: Of each text, one for each position of the input; empty if the images are no texts.
    """

    model: str
    digest: str
    images: tuple[str, ...]
    warnings: tuple[str, ...]
    layers: Mapping[str, Mapping[str, Any]]
    _tensors: Mapping[str, Array]
    tokens: tuple[tuple[Token, ...], ...] = ()

    @classmethod
    def of(cls, data: bytes) -> Self:
        """Read a safetensors answer.

        Raises:
            AnswerUnreadable: The answer is damaged, or not from a Layerscope service.
        """
        tensors, metadata = parse_safetensors(data)
        try:
            rows = {row["address"]: row for row in json.loads(metadata["layers"])}
            activations = cls(
                model=f"{metadata['model']}@{metadata['version']}",
                digest=metadata["digest"],
                images=tuple(json.loads(metadata["images"])),
                warnings=tuple(json.loads(metadata["warnings"])),
                layers=rows,
                _tensors=tensors,
                tokens=tokens_of(json.loads(metadata.get("tokens", "[]"))),
            )
        except (KeyError, TypeError, ValueError):
            raise unreadable("its metadata do not describe activations") from None
        if missing := rows.keys() - tensors.keys():
            raise unreadable(f"it describes {', '.join(sorted(missing))} but does not carry it")
        return activations

    def __getitem__(self, address: str) -> Array:
        if address not in self.layers:
            near = difflib.get_close_matches(address, self.layers, n=3)
            hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(self.layers)}."
            raise KeyError(f"{address} is not among these layers; {hint}")
        return self._tensors[address]

    def __iter__(self) -> Iterator[str]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    def __repr__(self) -> str:
        shapes = ", ".join(f"{address} {array.dtype}{list(array.shape)}" for address, array in self.items())
        return f"<Activations of {self.model}: {shapes}>"

    def _repr_html_(self) -> str:
        rows = [
            (
                address,
                row["type"],
                shape_text(array.shape),
                array.dtype,
                pictures_of(self.dequantized(address), row["channel_axis"]),
            )
            for address, array in self.items()
            for row in [self.layers[address]]
        ]
        columns = ("layer", "type", "shape", "dtype", "most active maps of the first image")
        return table(f"Activations of {self.model}", columns, rows)

    def dequantized(self, address: str) -> Array:
        """Return the values of a layer as float32, whatever type they were sent in.

        For uint8, value = scale * stored + offset for each channel; the error is at most half a scale.

        Raises:
            KeyError: The layer was not requested.
        """
        stored = self[address]
        if address + _SCALE not in self._tensors:
            return stored.astype(np.float32)
        scale, offset = self._tensors[address + _SCALE], self._tensors[address + _OFFSET]
        axes = [axis for axis in range(stored.ndim) if axis != self.layers[address]["channel_axis"]]
        values: Array = stored * np.expand_dims(scale, axes) + np.expand_dims(offset, axes)
        return values
