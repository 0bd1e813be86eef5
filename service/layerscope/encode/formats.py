"""Formats of activations: JSON, .npy, .npz and safetensors."""

from typing import Literal, get_args

Format = Literal["json", "npy", "npz", "safetensors"]

FORMATS: tuple[Format, ...] = get_args(Format)
"""All formats. Earlier ones are preferred where a client accepts several equally."""

MEDIA_TYPES: dict[Format, str] = {
    "json": "application/json",
    "npy": "application/x-npy",
    "npz": "application/x-npz",
    "safetensors": "application/vnd.safetensors",
}
"""Media type of each format."""

EXTENSIONS: dict[Format, str] = {name: f".{name}" for name in FORMATS}
"""File name extension of each format."""
