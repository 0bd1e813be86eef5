"""Overlay backgrounds: the picture under a map, as the caller sent it or as the model sees it."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from layerscope.errors import NoPicture, OptionInvalid
from layerscope.execution.inputs import Item, Row, Sources, rows_of
from layerscope.execution.loading_memory import decoding_bytes
from layerscope.graph.model import ModelDescription
from layerscope.graph.taps.tap import Input
from layerscope.images import Background, Geometry, Preprocessing, true_colors
from layerscope.limits import Limits

On = Literal["original", "input"]
"""Which picture: the `original` as it was sent, upright; or the `input` of the model after preprocessing."""


class OverlayBackground:
    """The background for one image of a request. Only its header is read until `background` is called.

    Args:
        model: the model that computes the map.
        sources: the inputs of the request, with one image.
        limits: the bounds in force.
        on: which picture.
        input_name: the model's input with the image; None for the first that takes images.

    Raises:
        InputMismatch: see `rows_of`.
        NoPicture: the input is a tensor that is no picture.
        OptionInvalid: there are several images, or no such input.
        LayerscopeError: the image's header cannot be read, see `layerscope.images.describe`.
    """

    def __init__(
        self,
        model: ModelDescription,
        sources: Sources,
        limits: Limits,
        *,
        on: On,
        input_name: str | None = None,
    ) -> None:
        index = _input_index(model, input_name)
        self._item = only_row(rows_of(model, sources, limits))[index]
        self._declared = model.preprocessing[model.inputs[index].name]
        self._limits = limits
        self._on = on
        self._geometry = self._measured()

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the picture."""
        return self._geometry.original

    @property
    def decoding_bytes(self) -> int:
        """The memory that making the picture takes besides it."""
        return decoding_bytes(self._item.source, self._limits)

    def background(self) -> Background:
        """The picture and its geometry.

        Raises:
            LayerscopeError: the image cannot be decoded, see `layerscope.images.decode`.
        """
        preprocessing = self._item.preprocessing
        if preprocessing is None:
            values = self._item.load(self._limits)
            pixels = _required(self._declared, self._item.input).picture_of_tensor(values)
        elif self._on == "input":
            pixels = preprocessing.model_view(self._item.image(self._limits, upright=preprocessing.exif))
        else:
            pixels = true_colors(
                self._item.image(self._limits, upright=True).pixels, preprocessing.background
            )
        return Background(pixels=pixels, geometry=self._geometry)

    def _measured(self) -> Geometry:
        preprocessing = self._item.preprocessing
        if preprocessing is None:
            return Geometry.identity(_sides(self._item, _required(self._declared, self._item.input)))
        geometry = preprocessing.geometry(self._item.describe(self._limits))
        return geometry if self._on == "original" else Geometry.identity(geometry.size)


def _input_index(model: ModelDescription, name: str | None) -> int:
    names = [each.name for each in model.inputs]
    if name is None:
        return next((index for index, each in enumerate(names) if model.preprocessing[each]), 0)
    if name not in names:
        message = f"{model.name} has no input {name[:80]!r}: name one of {', '.join(names)}."
        raise OptionInvalid(message, option="input", inputs=names)
    return names.index(name)


def only_row(rows: Sequence[Row]) -> Row:
    """The row of a picture.

    Raises:
        OptionInvalid: there are several.
    """
    if len(rows) > 1:
        message = f"An overlay is drawn over one image, not {len(rows)}: ask for each of them."
        raise OptionInvalid(message, option="image", images=len(rows))
    return rows[0]


def _required(declared: Preprocessing | None, given: Input) -> Preprocessing:
    if declared is None:
        message = f"Input {given.name!r} of shape {list(given.shape)} takes no images, so there is nothing to draw over."
        raise NoPicture(message, input=given.name, shape=list(given.shape))
    return declared


def _sides(item: Item, declared: Preprocessing) -> tuple[int, int]:
    """Height and width of a tensor that is not preprocessed."""
    shape = np.shape(item.source) if isinstance(item.source, np.ndarray) else ()
    axis = 0 if declared.layout == "nchw" else 2
    if len(shape) != 3 or shape[axis] != declared.channels:
        message = f"A tensor of shape {list(shape)} is no picture to draw over."
        raise NoPicture(message, input=item.input.name, shape=list(shape))
    height, width = (side for number, side in enumerate(shape) if number != axis)
    return height, width
