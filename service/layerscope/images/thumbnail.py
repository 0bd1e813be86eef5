"""Thumbnails: small pictures of image files, made anew from their pixels."""

import io

from PIL import Image

from layerscope.errors import NoPicture, OptionInvalid
from layerscope.images.decode import decode
from layerscope.images.npy import is_npy
from layerscope.limits import Limits
from layerscope.text import is_text

MAX_THUMBNAIL_SIDE = 1_024


def thumbnail(data: bytes, side: int, limits: Limits) -> bytes:
    """Draw an image file as an upright PNG whose longer side is at most `side` pixels, without any metadata.

    Raises:
        OptionInvalid: `side` is not within 1 to 1024.
        NoPicture: it is a tensor or a text.
        LayerscopeError: the image cannot be decoded, see `decode`.
    """
    if not 1 <= side <= MAX_THUMBNAIL_SIDE:
        message = f"The side of a thumbnail must be from 1 to {MAX_THUMBNAIL_SIDE} pixels, not {side}."
        raise OptionInvalid(message, option="side", value=side)
    if is_text(data):
        raise NoPicture("A text has no thumbnail.")
    if is_npy(data):
        raise NoPicture("A tensor has no thumbnail: ask for feature-map.png of the layer input.")
    image = decode(data, limits)
    picture = Image.fromarray(image.pixels[..., 0] if image.pixels.shape[2] == 1 else image.pixels)
    picture.thumbnail((side, side))
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()
