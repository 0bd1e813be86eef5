"""Bytes to validated pixels and tensors: decoding, preprocessing, tensors and the store of uploaded images."""

from layerscope.images.background import Background
from layerscope.images.decode import DecodedImage, ImageDescription, decode, describe
from layerscope.images.geometry import Box, Geometry
from layerscope.images.pixels import true_colors
from layerscope.images.preprocessing import Preprocessing
from layerscope.images.store import ImageStore, StoredImage
from layerscope.images.tensor import read_npy

__all__ = [
    "Background",
    "Box",
    "DecodedImage",
    "Geometry",
    "ImageDescription",
    "ImageStore",
    "Preprocessing",
    "StoredImage",
    "decode",
    "describe",
    "read_npy",
    "true_colors",
]
