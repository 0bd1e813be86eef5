"""Sprite atlases: the box of each tile in a picture of feature maps, and what it shows."""

import math
from collections.abc import Sequence
from typing import Any

import orjson

from layerscope.errors import AnswerTooLarge, OptionInvalid
from layerscope.execution.interface import Result
from layerscope.limits import Limits
from layerscope.render import TileBox, building_bytes, sprite_atlas
from layerscope.tensors.activations import Activation
from layerscope.tensors.spec import TensorSpec
from layerscope_api.schemas.picture_options import FeatureMapOptions
from layerscope_api.serializers.feature_map import feature_map_layout
from layerscope_api.serializers.models import identity
from layerscope_api.serializers.tile_groups import TileContent, have_names, tile_contents, tile_group
from layerscope_api.serializers.token_names import drawn_tokens

_NUMBERS_PER_TILE = 9
_BYTES_PER_TILE = 2_048


def atlas_bytes(specs: Sequence[TensorSpec], options: FeatureMapOptions, limits: Limits) -> int:
    """The bytes of memory that an atlas takes, from the shapes of the layers alone.

    Raises:
        OptionInvalid: the picture shows curves.
        AnswerTooLarge: the atlas would have more numbers than one JSON answer may have.
        LayerscopeError: a layer cannot be drawn, or the picture would be too large.
    """
    if options.curves:
        message = "An atlas tells where tiles are, and curves=true draws none: leave it out."
        raise OptionInvalid(message, option="curves")
    layout, values = feature_map_layout(specs, options, limits)
    tiles = sum(grid.tiles for grid in layout.grids)
    numbers = tiles * _NUMBERS_PER_TILE
    if numbers > limits.json_elements:
        raise AnswerTooLarge(
            f"The atlas would be {numbers:,} figures of {tiles:,} tiles, more than {limits.json_elements:,}",
            ways=("name fewer channels (channels=)", "fewer layers (layer=)", "fewer images"),
            elements=numbers,
            limit=limits.json_elements,
        )
    return building_bytes(layout, values) + _BYTES_PER_TILE * tiles


def atlas_json(result: Result, options: FeatureMapOptions, limits: Limits) -> bytes:
    """The atlas of the picture of these layers."""
    found, channels = result.activations, options.selected_channels()
    chosen = [each.select(channels) for each in found.values()]
    tokens = drawn_tokens(found.tokens, result.model.tokenizer)
    groups = [
        tile_group(each, labelled=options.labels, tokens=tokens, slices=options.slice) for each in chosen
    ]
    contents = [tile_contents(each, options.slice) for each in chosen]
    drawn = sprite_atlas(groups, options.picture_options(has_names=have_names(groups)), limits=limits)
    document = {
        "model": identity(result.model).model_dump(),
        "images": found.images,
        "warnings": found.warnings,
        **({"edits": found.edits} if found.edits else {}),
        **({} if found.seed is None else {"seed": found.seed}),
        "width": drawn.width,
        "height": drawn.height,
        "colormap": drawn.colormap,
        "levels": drawn.levels,
        "value_min": _number(drawn.value_min),
        "value_max": _number(drawn.value_max),
        "nonfinite": drawn.nonfinite,
        "notes": [*(tokens.notes if tokens else ()), *drawn.notes],
        "layers": list(map(_layer, found.values(), drawn.boxes, contents)),
    }
    return orjson.dumps(document)


def _layer(
    activation: Activation, boxes: Sequence[TileBox], contents: Sequence[TileContent]
) -> dict[str, Any]:
    return {
        "address": activation.tap.address,
        "shape": activation.values.shape,
        "tiles": list(map(_tile, boxes, contents)),
    }


def _tile(box: TileBox, content: TileContent) -> dict[str, Any]:
    return {
        "image": content.image,
        "channel": content.channel,
        "slice": content.slice,
        "x": box.x,
        "y": box.y,
        "width": box.width,
        "height": box.height,
        "value_min": _number(box.value_min),
        "value_max": _number(box.value_max),
    }


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
