"""Picture of features: a bar for each feature of a vector, from zero to the right or left."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from layerscope.limits import Limits
from layerscope.render import font
from layerscope.render.image_files import PictureFormat, require_format_fits
from layerscope.render.map_colours import MapColours, blank, require_pixels
from layerscope.render.options import PictureOptions
from layerscope.render.palette import TEXT
from layerscope.render.picture import LETTERS_AS_ESCAPES, Picture
from layerscope.render.row_pictures import SPACE

MOST_FEATURES = 40
"""The features that are drawn; of more, those of the largest magnitude."""

LONGEST_FEATURE = 32
"""The letters of a name that are drawn at most."""

_ROW, _BAR, _HEAD = 15, 220, 18
_NUMBER = font.text_width("-1.23e-308")
_INPUT = "input"


def features_picture(
    heat: NDArray[np.floating],
    features: NDArray[np.floating],
    options: PictureOptions,
    *,
    limits: Limits,
    kind: str = "feature",
    names: Sequence[str] | None = None,
    metadata: Mapping[str, str] | None = None,
    form: PictureFormat = "png",
) -> Picture:
    """Draw a bar for each feature, with its name, its value and the number that the bar stands for.

    Args:
        heat: A number for each feature, (features,).
        features: What the model was given, (features,).
        options: `colormap`, `centered`, `range`, `percentile` and `scale` are used; `scale` lengthens the bars.
        limits: `picture_pixels` bounds the picture; it is checked before any work.
        kind: What the features are, such as tokens.
        names: Of the features; None numbers them from 0.
        metadata: Text entries for the PNG file.
        form: The format of the file.

    Raises:
        AnswerTooLarge: The picture would have more pixels than the limit.
    """
    labels = [font.shortened(each, LONGEST_FEATURE) for each in names or map(str, range(len(heat)))]
    height, width = features_picture_size(labels, options.scale, kind)
    require_pixels((height, width), limits, "at a smaller scale (scale=)")
    require_format_fits(width, height, form)
    colours, canvas, bar = MapColours(heat, options), blank(height, width), _BAR * options.scale
    order = np.argsort(-np.abs(np.nan_to_num(heat, nan=np.inf)), kind="stable")[:MOST_FEATURES]
    low, high = (each if np.isfinite(each) else 0.0 for each in colours.ends)
    low, high = min(low, 0.0), max(high, 0.0)
    span, given = (high - low) or 1.0, SPACE + _label_width(labels, kind)
    left = given + _NUMBER + SPACE
    zero = left + round(-low / span * bar)
    texts = [(kind, SPACE // 2, 2), (_INPUT, given, 2)]
    for row, number in enumerate(sorted(order.tolist())):
        top = _HEAD + row * _ROW
        end = left + round(
            (float(np.clip(np.nan_to_num(heat[number], nan=0.0), low, high)) - low) / span * bar
        )
        canvas[top : top + _ROW - 3, min(zero, end) : max(zero, end)] = colours.of(heat[number : number + 1])
        texts += [
            (labels[number], SPACE // 2, top),
            (f"{float(features[number]):.4g}", given, top),
            (f"{float(heat[number]):.3g}", left + bar + SPACE, top),
        ]
    canvas[_HEAD - 2 :, zero] = TEXT
    image = Image.fromarray(canvas)
    for text, begin, top in texts:
        font.draw_text(image, text, left=begin, top=top, color=TEXT)
    notes = [] if all(map(font.has_all, labels)) else [LETTERS_AS_ESCAPES]
    if len(heat) > MOST_FEATURES:
        notes.append(f"{MOST_FEATURES} of {len(heat)} {kind}s are drawn, those of the largest magnitude.")
    return colours.picture(np.asarray(image), metadata, form, notes)


def features_picture_size(labels: Sequence[str], scale: int, kind: str) -> tuple[int, int]:
    """Height and width of the picture of features with these labels."""
    rows = min(len(labels), MOST_FEATURES)
    width = 4 * SPACE + _label_width(labels, kind) + 2 * _NUMBER + _BAR * scale
    return _HEAD + rows * _ROW, width


def _label_width(labels: Sequence[str], kind: str) -> int:
    return max(font.text_width(label) for label in [*labels, kind])
