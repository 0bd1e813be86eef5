"""Header of an image file: its format and size, and the bounds that all readers share."""

from dataclasses import dataclass
from typing import Literal

from layerscope.errors import ImageTooComplex, ImageTooLarge, ImageUnreadable
from layerscope.limits import Limits

Format = Literal["png", "jpeg", "webp", "bmp", "gif"]

PILLOW_PIXELS = 178_956_970
"""Most pixels that Pillow opens (twice its default `MAX_IMAGE_PIXELS`), whatever the limits in force."""

MAX_BLOCKS = 16_384
"""Most chunks of a PNG and most segments of a JPEG: twice what a 64 MiB file of 8 KiB chunks has."""


@dataclass(frozen=True, slots=True)
class Header:
    """What the first bytes of an image file claim.

    Attributes:
        format: The container.
        width: Pixels across, as stored.
        height: Pixels down, as stored.
        frames: Number of pictures in the file; None where only the decoder can count them.
        bits: Bits per channel where that is more than 8, else 8.
    """

    format: Format
    width: int
    height: int
    frames: int | None = None
    bits: int = 8


def check_size(width: int, height: int, limits: Limits) -> None:
    """Check that an image has no more pixels than are decoded.

    Raises:
        ImageTooLarge: The image has too many pixels, or a side is too long; `details` give the size and both limits.
    """
    pixels, limit = width * height, min(limits.image_pixels, PILLOW_PIXELS)
    if pixels <= limit and max(width, height) <= limits.image_side:
        return
    message = (
        f"The image is {width} x {height} pixels; at most {limit} pixels in all and"
        f" {limits.image_side} a side are decoded"
    )
    raise ImageTooLarge(
        message,
        ways=("scale it down", "crop it", "send it in parts"),
        width=width,
        height=height,
        pixels=pixels,
        limit_pixels=limit,
        limit_side=limits.image_side,
    )


def check_count(name: Format, what: str, count: int, limit: int) -> None:
    """Check that a file has no more parts of a kind than are read.

    Raises:
        ImageTooComplex: The file has more than `limit` of them.
    """
    if count > limit:
        message = (
            f"The {name.upper()} image has at least {count} {what}; at most {limit} are decoded."
            " Save it again in a simpler form."
        )
        raise ImageTooComplex(message, format=name, what=what, count=count, limit=limit)


def unreadable(name: Format) -> ImageUnreadable:
    """The error for a file whose format is recognised but whose content is damaged."""
    return ImageUnreadable(f"The {name.upper()} image is damaged or cut off.", format=name)
