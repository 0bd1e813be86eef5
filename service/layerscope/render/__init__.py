"""Pictures of feature maps: honest and deterministic, as indexed PNG files or WebP without loss."""

from layerscope.render.colormaps import is_diverging, names, palette
from layerscope.render.files import MEDIA_TYPES, PictureFormat
from layerscope.render.network import STRIP, LayerRow, network_picture, network_size
from layerscope.render.options import PictureOptions
from layerscope.render.overlay import Interpolation, measure_overlay, overlay, overlay_bytes
from layerscope.render.picture import (
    Atlas,
    Box,
    Picture,
    atlas,
    building_bytes,
    measure,
    render,
    render_sections,
)
from layerscope.render.tile_grid import Section
from layerscope.render.tiles import tiles

__all__ = [
    "MEDIA_TYPES",
    "STRIP",
    "Atlas",
    "Box",
    "Interpolation",
    "LayerRow",
    "Picture",
    "PictureFormat",
    "PictureOptions",
    "Section",
    "atlas",
    "building_bytes",
    "is_diverging",
    "measure",
    "measure_overlay",
    "names",
    "network_picture",
    "network_size",
    "overlay",
    "overlay_bytes",
    "palette",
    "render",
    "render_sections",
    "tiles",
]
