"""Images: from the bytes of a request to pixels and input tensors, and the store of uploaded images."""

from layerscope.images.background import Background
from layerscope.images.decode import DecodedImage, ImageDescription, decode, describe
from layerscope.images.geometry import Box, Geometry
from layerscope.images.headers import read_header
from layerscope.images.npy import is_npy, read_npy
from layerscope.images.pixels import true_colors
from layerscope.images.preprocessing import Preprocessing
from layerscope.images.store import ImageStore, StoredImage, content_id
from layerscope.images.thumbnail import thumbnail

__all__ = [
    "Background",
    "Box",
    "DecodedImage",
    "Geometry",
    "ImageDescription",
    "ImageStore",
    "Preprocessing",
    "StoredImage",
    "content_id",
    "decode",
    "describe",
    "is_npy",
    "read_header",
    "read_npy",
    "thumbnail",
    "true_colors",
]
