"""Preprocessing: from decoded pixels to the input tensor of a model.

It is declared with the model and repeated in every answer.
"""

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from layerscope.errors import OptionInvalid
from layerscope.images.decode import DecodedImage, ImageDescription
from layerscope.images.geometry import Geometry
from layerscope.images.pixels import Color, Filter, Resize, arrange, flatten, resample, true_colors
from layerscope.images.presets import LARGEST_FACTOR, PRESETS, merge_preset, with_scale_and_offset

MAX_SIDE = 8_192
"""Most pixels of either side of a model's input."""

Side = Annotated[int, Field(ge=1, le=MAX_SIDE, strict=True)]
Byte = Annotated[int, Field(ge=0, le=255, strict=True)]
Factor = Annotated[float, Field(ge=-LARGEST_FACTOR, le=LARGEST_FACTOR, allow_inf_nan=False)]

_CHANNELS: dict[Color, int] = {"grey": 1, "rgb": 3, "bgr": 3, "rgba": 4}


class Preprocessing(BaseModel):
    """The steps from an image to a model's input, in this order.

    1. The EXIF orientation is undone while decoding (`exif`).
    2. Alpha is composited over `background`, unless `color` is "rgba"; then an image without alpha is opaque.
    3. For "grey", colour becomes luma by ITU-R 601 (0.299 R + 0.587 G + 0.114 B, in Pillow's fixed point).
    4. The picture is resized by Pillow, which rounds to 8 bits; filters are antialiased when shrinking. A picture that
       has the size already is not changed.
    5. Channels are put in the order of `color`; grey is repeated.
    6. value = pixel * scale + offset, in float32, with pixels from 0 to 255.

    `mean` and `std` may be given instead of `scale` and `offset`: value = (pixel - mean) / std, in pixel units.

    Raises:
        OptionInvalid: Fields contradict each other. `declared` and `preset` raise it for any other mistake, too.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: tuple[Side, Side] | None = Field(
        default=None,
        description=f"two whole numbers, height and width, from 1 to {MAX_SIDE}, or null for the image's own size",
    )
    resize: Resize = Field(
        default="stretch",
        description='"stretch", "fit" (inside the size, centred, padded with pixel 0) or "crop" (the largest'
        " centred part of the size's proportions)",
    )
    filter: Filter = Field(
        default="bilinear", description='"nearest", "bilinear", "bicubic", "lanczos" or "box"'
    )
    color: Color = Field(default="rgb", description='"rgb", "bgr", "grey" or "rgba"')
    scale: tuple[Factor, ...] = Field(
        default=(1.0,), description="finite numbers the pixels are multiplied by, one or one a channel"
    )
    offset: tuple[Factor, ...] = Field(
        default=(0.0,), description="finite numbers added after scaling, one or one a channel"
    )
    layout: Literal["nhwc", "nchw"] = Field(default="nhwc", description='"nhwc" or "nchw"')
    background: tuple[Byte, Byte, Byte] = Field(
        default=(0, 0, 0),
        description="three whole numbers from 0 to 255, the red, green and blue behind transparent pixels",
    )
    exif: bool = Field(
        default=True, description="true or false: whether to turn images upright by their EXIF data"
    )
    assumed: bool = Field(default=False, description="true or false: whether nobody declared this")

    @classmethod
    def declared(cls, declaration: Mapping[str, object]) -> Self:
        """Read a declaration: any fields, and optionally the `preset` that they override.

        Raises:
            OptionInvalid: A field is unknown or has an invalid value; the message names the field and what it must be.
        """
        fields = dict(declaration)
        preset = fields.pop("preset", "none")
        if not isinstance(preset, str) or preset not in PRESETS:
            message = f"There is no preprocessing preset {str(preset)[:40]!r}: use {', '.join(PRESETS)}."
            raise OptionInvalid(message, option="preset", known=list(PRESETS))
        try:
            return cls.model_validate(merge_preset(preset, fields))
        except ValidationError as error:
            raise _explained(error, cls) from None

    @classmethod
    def preset(cls, name: str, **overrides: object) -> Self:
        """Start from "none", "unit", "signed", "caffe" or "torch" and override some fields.

        Raises:
            OptionInvalid: There is no such preset, or an override is invalid.
        """
        return cls.declared({**overrides, "preset": name})

    @property
    def channels(self) -> int:
        """Number of channels of the tensor: 1, 3 or 4."""
        return _CHANNELS[self.color]

    @cached_property
    def digest(self) -> str:
        """Sixteen hexadecimal digits, the SHA-256 of all fields except `assumed`, which changes no value."""
        fields = json.dumps(self.model_dump(exclude={"assumed"}), sort_keys=True)
        return hashlib.sha256(fields.encode()).hexdigest()[:16]

    def apply(self, image: DecodedImage) -> NDArray[np.float32]:
        """Compute the tensor of one image.

        Returns:
            float32, C-contiguous, of shape (height, width, channels), or (channels, height, width) for "nchw".
        """
        return self._values(arrange(self._sized(image), self.color))

    def model_view(self, image: DecodedImage) -> NDArray[np.uint8]:
        """The picture that the model sees: cropped and resized as in `apply`, in true colours.

        Returns:
            Red, green and blue, uint8 of shape (height, width, 3), whatever `color` and `layout` are.
        """
        return true_colors(self._sized(image), self.background)

    def picture_of_tensor(self, values: NDArray[np.floating]) -> NDArray[np.uint8]:
        """The picture of an input tensor: the inverse of `apply`, apart from its resizing.

        Args:
            values: Shape (height, width, channels), or (channels, height, width) for "nchw". Values that would be
                pixels outside 0 to 255 become the nearer end, NaN becomes 0.

        Returns:
            Red, green and blue, uint8 of shape (height, width, 3).
        """
        rows = values.transpose(1, 2, 0) if self.layout == "nchw" else values
        scale, offset = np.array(self.scale, np.float32), np.array(self.offset, np.float32)
        with np.errstate(all="ignore"):
            pixels = np.nan_to_num(np.rint((rows - offset) / scale), nan=0.0, posinf=255.0, neginf=0.0)
        pixels = pixels.clip(0, 255).astype(np.uint8)
        return true_colors(pixels[..., ::-1] if self.color == "bgr" else pixels, self.background)

    def grey_values(self, pixel: float) -> NDArray[np.float32]:
        """The values of a grey pixel, 0 to 255, in the tensor: float32 of shape (channels,)."""
        scale, offset = np.array(self.scale, np.float32), np.array(self.offset, np.float32)
        return np.broadcast_to(np.float32(pixel) * scale + offset, self.channels)

    def geometry(self, image: ImageDescription | DecodedImage) -> Geometry:
        """The mapping between the input and the image, from the size of the image alone.

        Args:
            image: The result of `describe`, or of `decode` with the orientation applied.
        """
        orientation = 1 if self.exif else image.orientation_applied
        return Geometry.of((image.height, image.width), self.size, self.resize, orientation)

    def shape(self, image: ImageDescription | DecodedImage) -> tuple[int, int, int]:
        """The shape of the tensor that `apply` computes, from the size of the image alone."""
        height, width = self.geometry(image).size
        return (self.channels, height, width) if self.layout == "nchw" else (height, width, self.channels)

    def _sized(self, image: DecodedImage) -> NDArray[np.uint8]:
        pixels = flatten(image.pixels, self.color, self.background)
        return pixels if self.size is None else resample(pixels, self.size, self.resize, self.filter)

    def _values(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        _, width, channels = pixels.shape
        scale = np.broadcast_to(np.array(self.scale, np.float32), channels)
        offset = np.broadcast_to(np.array(self.offset, np.float32), channels)
        if self.layout == "nchw":
            values = pixels.transpose(2, 0, 1).astype(np.float32, order="C")
            values *= scale[:, np.newaxis, np.newaxis]
            values += offset[:, np.newaxis, np.newaxis]
            return values
        values = pixels.astype(np.float32, order="C")
        # One multiplication for whole rows: NumPy's inner loop over only three channels takes four times as long.
        rows = values.reshape(len(values), -1)
        rows *= np.tile(scale, width)
        rows += np.tile(offset, width)
        return values

    @model_validator(mode="before")
    @classmethod
    def _normalise(cls, fields: Any) -> Any:
        return with_scale_and_offset(fields) if isinstance(fields, Mapping) else fields

    @model_validator(mode="after")
    def _check_channels(self) -> Self:
        for name, numbers in (("scale", self.scale), ("offset", self.offset)):
            if len(numbers) not in (1, self.channels):
                message = (
                    f"The preprocessing field {name!r} must have one number or {self.channels}"
                    f" (color is {self.color!r}), not {len(numbers)}."
                )
                raise OptionInvalid(message, option=name, numbers=len(numbers), channels=self.channels)
        return self


def _explained(error: ValidationError, model: type[BaseModel]) -> OptionInvalid:
    """The error for the first mistake, in the words of the description of its field."""
    mistake = error.errors(include_url=False, include_context=False)[0]
    name = str(mistake["loc"][0])[:40] if mistake["loc"] else ""
    if name not in model.model_fields:
        known = [*model.model_fields, "mean", "std", "preset"]
        message = f"There is no preprocessing field {name!r}: use {', '.join(known)}."
        return OptionInvalid(message, option=name, known=known)
    message = f"The preprocessing field {name!r} must be {model.model_fields[name].description}."
    return OptionInvalid(message, option=name)
