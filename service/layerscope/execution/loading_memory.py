"""The memory of images that are being loaded, known from their headers."""

from collections.abc import Sequence

from layerscope.execution.inputs import Array, ImageSource, Row
from layerscope.images import is_npy, read_header
from layerscope.limits import Limits
from layerscope.text import is_text

_BYTES_PER_PIXEL = 24
"""Memory for a pixel while it is decoded: in the decoder, as Pillow keeps it, converted, turned upright, and as an array.

Peaks that were measured, in bytes for each pixel of 24 megapixels: a grey PNG 3, a JPEG 10 (turned upright 14, of four inks
14), a PNG in colours 10, with opacity 12 to 16 (turned 20), with a palette 13, a WebP 18 (turned 22).
"""


def decoding_bytes(source: ImageSource | Array, limits: Limits) -> int:
    """The memory that decoding takes until the tensor or the picture is there, about.

    Args:
        source: what is stored: an image file, of which only the header is read, a .npy file or an encoded text; or pixels.
        limits: the bounds in force.

    Raises:
        LayerscopeError: the header cannot be read, see `layerscope.images.read_header`.
    """
    if isinstance(source, ImageSource):
        if is_text(source.data) or is_npy(source.data):
            return len(source.data)
        header = read_header(source.data, limits)
        return _BYTES_PER_PIXEL * header.width * header.height
    return _BYTES_PER_PIXEL * source.size


def loading_bytes(rows: Sequence[Row], limits: Limits) -> int:
    """The memory that loading rows takes: the tensors, once more when they are stacked, and what decoding one image takes.

    Raises:
        LayerscopeError: a header cannot be read, or does not fit, see `Item.shape`.
    """
    items = [item for row in rows for item in row]
    loaded = sum(item.loaded_bytes(limits) for item in items)
    return 2 * loaded + max(
        (decoding_bytes(each.source, limits) for each in items if each.preprocessing), default=0
    )
