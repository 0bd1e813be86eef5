"""Pictures of feature maps: honest, deterministic, 8-bit indexed PNG files."""

from layerscope.render.colormaps import is_diverging, names, palette
from layerscope.render.options import PictureOptions
from layerscope.render.picture import Picture, render
from layerscope.render.tiles import tiles

__all__ = ["Picture", "PictureOptions", "is_diverging", "names", "palette", "render", "tiles"]
