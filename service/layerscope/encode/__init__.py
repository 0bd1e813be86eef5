"""Activations as bytes: JSON, .npy, .npz and safetensors, and how large each will be."""

from layerscope.encode.arrays import Piece
from layerscope.encode.encoder import Encoded, encode
from layerscope.encode.formats import EXTENSIONS, FORMATS, MEDIA_TYPES, Format, format_for, quality_of
from layerscope.encode.metadata import Metadata
from layerscope.encode.response_size import ResponseSize, response_size
from layerscope.encode.size_check import building_bytes, estimate, require_fits

__all__ = [
    "EXTENSIONS",
    "FORMATS",
    "MEDIA_TYPES",
    "Encoded",
    "Format",
    "Metadata",
    "Piece",
    "ResponseSize",
    "building_bytes",
    "encode",
    "estimate",
    "format_for",
    "quality_of",
    "require_fits",
    "response_size",
]
