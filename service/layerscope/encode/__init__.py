"""Activations as bytes: JSON, .npy, .npz and safetensors, and how large each will be."""

from layerscope.encode.about import About
from layerscope.encode.arrays import Piece
from layerscope.encode.encoded import Encoded, encode
from layerscope.encode.formats import EXTENSIONS, FORMATS, MEDIA_TYPES, Format, format_for, quality_of
from layerscope.encode.room import building_bytes, estimate, require_room
from layerscope.encode.sizes import AnswerSize, answer_size

__all__ = [
    "EXTENSIONS",
    "FORMATS",
    "MEDIA_TYPES",
    "About",
    "AnswerSize",
    "Encoded",
    "Format",
    "Piece",
    "answer_size",
    "building_bytes",
    "encode",
    "estimate",
    "format_for",
    "quality_of",
    "require_room",
]
