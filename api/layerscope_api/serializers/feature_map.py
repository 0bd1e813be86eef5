"""Feature maps as pictures: each map of a layer is one tile, and each layer is one group of tiles."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from layerscope.graph.model import ModelDescription
from layerscope.limits import Limits
from layerscope.render import Picture, PictureFormat, building_bytes, picture_layout, render_groups
from layerscope.render.layout import Layout, require_fits
from layerscope.tensors.activations import Activation
from layerscope.tensors.spec import TensorSpec
from layerscope_api.schemas.picture_options import FeatureMapOptions
from layerscope_api.serializers.curves import curves_bytes, render_curves
from layerscope_api.serializers.models import layers_metadata
from layerscope_api.serializers.tile_groups import blank_group, have_names, tile_group
from layerscope_api.serializers.token_names import DrawnTokens


def feature_map_layout(
    specs: Sequence[TensorSpec], options: FeatureMapOptions, limits: Limits
) -> tuple[Layout, int]:
    """The layout of the picture of layers and the number of values that it draws, from the shapes of the layers alone.

    Raises:
        LayerscopeError: a layer cannot be drawn, or the picture would be too large.
    """
    channels = options.selected_channels()
    groups = [blank_group(spec, channels, options.slice) for spec in specs]
    drawn = [group for group, _ in groups]
    layout = picture_layout(drawn, options.picture_options(has_names=have_names(drawn)))
    require_fits(layout, limits.picture_pixels)
    return layout, sum(values for _, values in groups)


def rendering_bytes(specs: Sequence[TensorSpec], options: FeatureMapOptions, limits: Limits) -> int:
    """The bytes of memory that drawing layers takes, from their shapes alone.

    Raises:
        LayerscopeError: a layer cannot be drawn, or the picture would be too large.
    """
    if options.curves:
        return curves_bytes(specs, options, limits)
    layout, values = feature_map_layout(specs, options, limits)
    return building_bytes(layout, values)


def render_feature_map(
    model: ModelDescription,
    layers: Collection[Activation],
    options: FeatureMapOptions,
    limits: Limits,
    form: PictureFormat = "png",
    tokens: DrawnTokens | None = None,
) -> Picture:
    """Draw the selected channels of layers, one layer below the other. For `tokens`, see `tile_group`.

    Raises:
        LayerscopeError: a layer cannot be drawn, or the picture would be too large.
    """
    if options.curves:
        return render_curves(model, layers, options, limits, form, tokens)
    channels = options.selected_channels()
    groups = [
        tile_group(each.select(channels), labelled=options.labels, tokens=tokens, slices=options.slice)
        for each in layers
    ]
    metadata = layers_metadata(model, [each.tap.address for each in layers])
    drawn = options.picture_options(has_names=have_names(groups))
    picture = render_groups(groups, drawn, limits=limits, metadata=metadata, form=form)
    return replace(picture, notes=(*(tokens.notes if tokens else ()), *picture.notes))
