"""Curves: the channels of layers over time, or along another axis, as a picture."""

from collections.abc import Collection, Sequence

from layerscope.errors import NoPicture, OptionInvalid
from layerscope.graph.model import ModelDescription
from layerscope.limits import Limits
from layerscope.render import Picture, PictureFormat, curves_picture, curves_picture_size
from layerscope.render.map_colours import require_pixels
from layerscope.tensors.activations import Activation
from layerscope.tensors.spec import TensorSpec
from layerscope_api.schemas.picture_options import FeatureMapOptions
from layerscope_api.serializers.models import layers_metadata
from layerscope_api.serializers.tile_groups import tile_group
from layerscope_api.serializers.token_names import DrawnTokens

MOST_CURVES = 16
"""The channels of a layer that are drawn where nobody chooses: the first ones."""

_BYTES_A_PIXEL, _BYTES_A_VALUE = 32, 32


def curves_bytes(specs: Sequence[TensorSpec], options: FeatureMapOptions, limits: Limits) -> int:
    """The bytes of memory that drawing curves takes, from the shapes of the layers alone.

    Raises:
        LayerscopeError: a layer has no curves, or the picture would be too large.
    """
    if options.slice is not None:
        raise OptionInvalid("Curves have no slices: leave out slice or curves=true.", option="slice")
    chosen = [each.select(_channels(each, options)) for each in specs]
    counts = [each.shape[0] * each.channels for each in chosen]
    height, width = curves_picture_size(counts, options.picture_options().scale)
    require_pixels((height, width), limits, "draw fewer channels (channels=)", "at a smaller scale (scale=)")
    return _BYTES_A_PIXEL * height * width + _BYTES_A_VALUE * sum(each.size for each in specs)


def render_curves(
    model: ModelDescription,
    layers: Collection[Activation],
    options: FeatureMapOptions,
    limits: Limits,
    form: PictureFormat = "png",
    tokens: DrawnTokens | None = None,
) -> Picture:
    """Draw the selected channels of layers as curves, one layer below the other. For `tokens`, see `tile_group`.

    Raises:
        LayerscopeError: a layer has no curves, or the picture would be too large.
    """
    specs = [each.spec for each in layers]
    chosen = [each.select(_channels(each.spec, options)) for each in layers]
    notes = [
        f"{MOST_CURVES} of {each.channels} channels of {each.address} are drawn, the first ones."
        for each in specs
        if options.selected_channels() == "all" and each.channels > MOST_CURVES
    ]
    return curves_picture(
        [tile_group(each, labelled=True, tokens=tokens) for each in chosen],
        options.picture_options(),
        limits=limits,
        axes=[_axis(each) for each in specs],
        metadata=layers_metadata(model, [each.tap.address for each in layers]),
        form=form,
        notes=[*(tokens.notes if tokens else ()), *notes],
    )


def _channels(spec: TensorSpec, options: FeatureMapOptions) -> str:
    _axis(spec)
    wanted = options.selected_channels()
    return f"0-{min(spec.channels, MOST_CURVES) - 1}" if wanted == "all" else wanted


def _axis(spec: TensorSpec) -> str:
    """What the steps of a layer count.

    Raises:
        NoPicture: it is no layer of steps and channels.
    """
    axes = spec.folded().axes[1:]
    steps = [name for name in axes if name != "channels"]
    if len(axes) != 2 or len(steps) != 1 or steps[0] == "unknown":
        counted = ", ".join(axes)
        message = (
            f"Curves are drawn of layers that count channels and one more axis, such as time. {spec.address} counts"
            f" {counted}: leave out curves=true to draw it as tiles."
        )
        raise NoPicture(message, layer=spec.address)
    return str(steps[0])
