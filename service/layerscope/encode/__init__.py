"""Encoding of activations as JSON, .npy, .npz and safetensors, and the size of each encoding before a run."""

from layerscope.encode.arrays import Buffer
from layerscope.encode.encoder import Encoded, encode
from layerscope.encode.formats import EXTENSIONS, FORMATS, MEDIA_TYPES, Format
from layerscope.encode.json_pieces import json_pieces
from layerscope.encode.metadata import Metadata, tokens_json
from layerscope.encode.response_size import ResponseSize, response_size
from layerscope.encode.size_check import building_bytes, estimate, require_fits

__all__ = [
    "EXTENSIONS",
    "FORMATS",
    "MEDIA_TYPES",
    "Buffer",
    "Encoded",
    "Format",
    "Metadata",
    "ResponseSize",
    "building_bytes",
    "encode",
    "estimate",
    "json_pieces",
    "require_fits",
    "response_size",
    "tokens_json",
]
