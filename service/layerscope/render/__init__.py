"""Pictures of feature maps: honest, deterministic, 8-bit indexed PNG files."""

from layerscope.render.colormaps import is_diverging, names, palette
from layerscope.render.options import PictureOptions
from layerscope.render.picture import Picture, building_bytes, measure, render
from layerscope.render.tiles import tiles

__all__ = [
    "Picture",
    "PictureOptions",
    "building_bytes",
    "is_diverging",
    "measure",
    "names",
    "palette",
    "render",
    "tiles",
]
