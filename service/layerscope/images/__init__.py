"""Bytes to validated pixels and tensors: decoding, preprocessing, tensors and the store of uploaded images."""

from layerscope.images.decode import DecodedImage, ImageDescription, decode, describe
from layerscope.images.preprocessing import Preprocessing
from layerscope.images.store import ImageStore, StoredImage
from layerscope.images.tensor import read_npy

__all__ = [
    "DecodedImage",
    "ImageDescription",
    "ImageStore",
    "Preprocessing",
    "StoredImage",
    "decode",
    "describe",
    "read_npy",
]
