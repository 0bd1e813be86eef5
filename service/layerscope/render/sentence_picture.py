"""Picture of sentences: their tokens as words in lines, each on the colour of its value, with a legend below."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from layerscope.errors import NoPicture
from layerscope.limits import Limits
from layerscope.render import font, image_files, normalization
from layerscope.render.image_files import PictureFormat
from layerscope.render.options import PictureOptions
from layerscope.render.palette import Palette, make_palette
from layerscope.render.picture import LETTERS_AS_ESCAPES, Picture
from layerscope.render.row_pictures import require_picture_fits
from layerscope.render.scale import Scale
from layerscope.render.tile_group import LONGEST_NAME

_WIDTH, _MARGIN, _GAP = 640, 6, 2
_BESIDE, _WORD = 4, font.LINE_HEIGHT + 5
"""Pixels of colour beside the letters of a token, and the height of its box."""

_LINE = _WORD + _GAP
_BETWEEN = 8
_LEGEND_WIDTH, _LEGEND = 200, 10 + 2 * _MARGIN

_BRIGHT = 140
"""The luminance, 0 to 255, from which dark letters are easier to read than white ones."""

_LUMINANCE = (0.299, 0.587, 0.114)


@dataclass(frozen=True, kw_only=True, slots=True)
class Sentence:
    """A sentence, as drawn.

    Attributes:
        tokens: The tokens, in their order.
        values: One for each token, of any real type.
        heading: A line of text above it; empty for none.
    """

    tokens: Sequence[str]
    values: NDArray[np.floating]
    heading: str = ""


@dataclass(frozen=True, slots=True)
class _Box:
    left: int
    top: int
    width: int
    text: str


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a sentence is: its first row, the first row below it, and the boxes of its tokens."""

    top: int
    bottom: int
    boxes: Sequence[_Box]


def sentence_picture(
    sentences: Sequence[Sentence],
    options: PictureOptions,
    *,
    limits: Limits,
    metadata: Mapping[str, str] | None = None,
    form: PictureFormat = "png",
) -> Picture:
    """Draw sentences one below the other, all in one range of values, as an indexed PNG or lossless WebP file.

    Zero is the middle of the colours, unless the options say otherwise. Tokens stand from left to right in the order in which the
    model reads them, also those of languages that are written from right to left. The same arguments give the same bytes.

    Args:
        sentences: The tokens and their values; not modified.
        options: `colormap`, `centered`, `range` and `percentile` are used.
        limits: `picture_pixels` bounds the picture; it is checked before it is drawn.
        metadata: Text entries for the PNG file. Those that describe the colours are always added.
        form: The format of the file.

    Raises:
        AnswerTooLarge: The picture would have more pixels than the limit, or a side too long for the format.
        NoPicture: There is no token.
    """
    if not any(each.tokens for each in sentences):
        raise NoPicture("A text without tokens has no picture.")
    placed = list(_placed(sentences))
    size = _WIDTH, placed[-1].bottom + _LEGEND
    require_picture_fits(*size, limits)
    image_files.require_format_fits(*size, form)
    rows = [np.asarray(each.values, np.float32)[np.newaxis, np.newaxis] for each in sentences if each.tokens]
    centered = "true" if options.centered == "auto" and options.range is None else options.centered
    scale = Scale.of(rows, replace(options, centered=centered, normalize="picture"))
    palette = make_palette(scale.colormap, background=True, text=True, nonfinite=scale.nonfinite > 0)
    levels = iter(
        normalization.indices(each, extremes, ends, levels=palette.levels, nonfinite_index=palette.nonfinite)
        for each, extremes, ends in zip(rows, scale.extremes, scale.ranges, strict=True)
    )
    image = Image.new("L", size, palette.background)
    for sentence, place in zip(sentences, placed, strict=True):
        font.draw_text(image, sentence.heading, left=_MARGIN, top=place.top, color=palette.text)
        if place.boxes:
            _write(image, place.boxes, next(levels)[0, 0], palette)
    _draw_legend(image, placed[-1].bottom, scale.bar_ends(), palette)
    lowest, highest = scale.ends
    is_ascii = all(font.has_all(token) for each in sentences for token in each.tokens)
    return Picture(
        data=image_files.encode_indexed(
            image, palette.colours, {**(metadata or {}), **scale.text_entries}, form=form
        ),
        media_type=image_files.MEDIA_TYPES[form],
        width=size[0],
        height=size[1],
        value_min=lowest,
        value_max=highest,
        colormap=scale.colormap,
        nonfinite=scale.nonfinite,
        notes=(*scale.notes(palette), *([] if is_ascii else [LETTERS_AS_ESCAPES])),
    )


def largest_sentence_picture(sentences: int, tokens: int) -> tuple[int, int]:
    """Width and height, in pixels, of the largest picture that so many sentences, of so many tokens each, may have."""
    longest = _word_width("W" * LONGEST_NAME) + _GAP
    lines = -(-tokens // max(1, (_WIDTH - 2 * _MARGIN) // longest))
    return _WIDTH, sentences * ((lines + 1) * _LINE + _BETWEEN) + _MARGIN + _LEGEND


def _placed(sentences: Sequence[Sentence]) -> Iterator[_Place]:
    top = _MARGIN
    for sentence in sentences:
        first = top
        top += _LINE if sentence.heading else 0
        left, boxes = _MARGIN, []
        for token in sentence.tokens:
            text = font.shortened(token, LONGEST_NAME)
            width = _word_width(text)
            if left + width > _WIDTH - _MARGIN:
                left, top = _MARGIN, top + _LINE
            boxes.append(_Box(left, top, width, text))
            left += width + _GAP
        top += (_LINE if boxes else 0) + _BETWEEN
        yield _Place(first, top, boxes)


def _word_width(text: str) -> int:
    return font.text_width(text) + 2 * _BESIDE


def _write(image: Image.Image, boxes: Sequence[_Box], levels: NDArray[np.uint8], palette: Palette) -> None:
    luminance = palette.colours @ np.array(_LUMINANCE)
    for box, level in zip(boxes, levels.tolist(), strict=True):
        image.paste(level, (box.left, box.top, box.left + box.width, box.top + _WORD))
        color = palette.text if luminance[level] >= _BRIGHT else palette.background
        font.draw_text(image, box.text, left=box.left + _BESIDE, top=box.top + 2, color=color)


def _draw_legend(image: Image.Image, top: int, ends: tuple[str, str], palette: Palette) -> None:
    """The colours from left to right, with the values of both ends beside them."""
    lowest, highest = ends
    font.draw_text(image, lowest, left=_MARGIN, top=top, color=palette.text)
    left = _MARGIN + font.text_width(lowest) + _BESIDE
    bar = (np.arange(_LEGEND_WIDTH) * palette.levels // _LEGEND_WIDTH).astype(np.uint8)
    image.paste(Image.fromarray(np.tile(bar, (font.LINE_HEIGHT, 1))), (left, top))
    font.draw_text(image, highest, left=left + _LEGEND_WIDTH + _BESIDE, top=top, color=palette.text)
