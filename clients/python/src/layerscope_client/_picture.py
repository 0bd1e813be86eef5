"""Picture of a layer, and the meaning of its colours."""

import os
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Self

import httpx2

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A PNG file that shows itself in a notebook. `bytes(picture)` is the file.

    Attributes:
        png: The file.
        layer: The address of the layer.
        model: Which model computed it, as "name@version".
        digest: The digest of that model.
        value_min: The value of the first colour; None if the answer does not give it.
        value_max: The value of the last colour; None if the answer does not give it.
    """

    png: bytes
    layer: str
    model: str
    digest: str
    value_min: float | None
    value_max: float | None

    @classmethod
    def of(cls, response: httpx2.Response) -> Self:
        """The picture of an answer."""
        headers = response.headers
        return cls(
            png=response.content,
            layer=headers.get("x-layer", ""),
            model=headers.get("x-model", ""),
            digest=headers.get("x-model-digest", ""),
            value_min=_number(headers.get("x-value-min")),
            value_max=_number(headers.get("x-value-max")),
        )

    def __bytes__(self) -> bytes:
        return self.png

    def __repr__(self) -> str:
        values = f"{self.value_min} to {self.value_max}"
        return f"<Picture of {self.layer} of {self.model}: values {values}, {len(self.png)} bytes>"

    def _repr_png_(self) -> bytes:
        return self.png

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the PNG file, unchanged.

        Raises:
            OSError: The file cannot be written.
        """
        Path(path).write_bytes(self.png)

    def to_pil(self) -> "Image":
        """Open the picture with Pillow.

        Raises:
            ImportError: Pillow is not installed.
        """
        try:
            from PIL import Image  # noqa: PLC0415 - Pillow is optional
        except ImportError:
            message = "Picture.to_pil needs Pillow: pip install 'layerscope-client[images]'."
            raise ImportError(message) from None
        return Image.open(BytesIO(self.png))


def _number(value: str | None) -> float | None:
    try:
        return None if value is None else float(value)
    except ValueError:
        return None
