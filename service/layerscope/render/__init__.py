"""Pictures of feature maps: deterministic, without interpolation of values, as indexed PNG or lossless WebP files."""

from layerscope.render.colormaps import is_diverging, lookup_table, names
from layerscope.render.comparison_picture import (
    ComparisonRow,
    comparison_picture,
    comparison_picture_size,
    similarity_matrix,
    similarity_matrix_size,
)
from layerscope.render.curves_picture import curves_picture, curves_picture_size
from layerscope.render.effects_picture import EffectRow, effects_picture, effects_picture_size
from layerscope.render.features_picture import features_picture, features_picture_size
from layerscope.render.image_files import MEDIA_TYPES, PictureFormat
from layerscope.render.options import PictureOptions
from layerscope.render.overlay import Interpolation, overlay, overlay_bytes, overlay_layout
from layerscope.render.picture import Picture, building_bytes, picture_layout, render, render_groups
from layerscope.render.sentence_picture import Sentence, largest_sentence_picture, sentence_picture
from layerscope.render.series_picture import series_picture, series_picture_size
from layerscope.render.slices_picture import slices_picture, slices_picture_size
from layerscope.render.sprite_atlas import SpriteAtlas, TileBox, sprite_atlas
from layerscope.render.statistics_picture import (
    HISTOGRAM_WIDTH,
    LayerRow,
    statistics_picture,
    statistics_picture_size,
)
from layerscope.render.tile_group import LONGEST_NAME, Sides, TileGroup
from layerscope.render.tiles import tiles

__all__ = [
    "HISTOGRAM_WIDTH",
    "LONGEST_NAME",
    "MEDIA_TYPES",
    "ComparisonRow",
    "EffectRow",
    "Interpolation",
    "LayerRow",
    "Picture",
    "PictureFormat",
    "PictureOptions",
    "Sentence",
    "Sides",
    "SpriteAtlas",
    "TileBox",
    "TileGroup",
    "building_bytes",
    "comparison_picture",
    "comparison_picture_size",
    "curves_picture",
    "curves_picture_size",
    "effects_picture",
    "effects_picture_size",
    "features_picture",
    "features_picture_size",
    "is_diverging",
    "largest_sentence_picture",
    "lookup_table",
    "names",
    "overlay",
    "overlay_bytes",
    "overlay_layout",
    "picture_layout",
    "render",
    "render_groups",
    "sentence_picture",
    "series_picture",
    "series_picture_size",
    "similarity_matrix",
    "similarity_matrix_size",
    "slices_picture",
    "slices_picture_size",
    "sprite_atlas",
    "statistics_picture",
    "statistics_picture_size",
    "tiles",
]
