"""Pictures of maps over inputs that are no images: curves of a series, slices of a volume or film, bars of a vector."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from layerscope.attribution.target_layers import input_geometry, select_input
from layerscope.errors import NoPicture
from layerscope.execution.input_values import InputValues
from layerscope.execution.inputs import Sources
from layerscope.execution.interface import QueryPlan
from layerscope.graph.model import ModelDescription
from layerscope.graph.taps.geometry import PLANE
from layerscope.limits import Limits
from layerscope.render import (
    Picture,
    PictureFormat,
    features_picture,
    features_picture_size,
    series_picture,
    series_picture_size,
    slices_picture,
    slices_picture_size,
)
from layerscope.render.features_picture import LONGEST_FEATURE
from layerscope.render.map_colours import require_pixels
from layerscope.render.slices_picture import MOST_SLICES
from layerscope.tensors.spec import TensorSpec
from layerscope_api.schemas.attribution_options import HeatPictureOptions
from layerscope_api.serializers.overlay import Overlay
from layerscope_api.serializers.slices import chosen_slices
from layerscope_api.serializers.token_names import numbers_as_names, token_texts, tokens_of_ids

_BYTES_A_PIXEL, _BYTES_A_VALUE = 32, 32

_BARS: Mapping[tuple[str, ...], str] = {("channels",): "feature", ("tokens",): "token"}

_WITHOUT_PICTURE = "Ask for the values, without .png."


class MapPicture:
    """A map over an input that is no image. Its size is known at once; the values of the input are read when it is drawn.

    Args:
        model: the model that computes the map.
        sources: one row of inputs.
        options: how the picture looks.
        limits: the limits in force.
        spec: the map, (1, *places).
        index: the number of the input that the map lies over.

    Raises:
        NoPicture: the input is nothing for a map to lie over, or does not have the places of the map.
        OptionInvalid: there are several rows, or no such slice.
    """

    def __init__(
        self,
        model: ModelDescription,
        sources: Sources,
        options: HeatPictureOptions,
        limits: Limits,
        spec: TensorSpec,
        index: int,
    ) -> None:
        tap = model.taps.select(["input"])[index]
        try:
            geometry = input_geometry(tap)
        except NoPicture as error:
            raise NoPicture(f"{error.message} {_WITHOUT_PICTURE}", **error.details) from error
        self._options, self._limits = options, limits
        self._places = geometry.places
        self._of_map = spec.axes[1:]
        self.input_name = model.inputs[index].name
        if not set(self._of_map) <= set(self._places):
            message = (
                f"The map of {spec.address} counts {', '.join(self._of_map)}, and input {self.input_name!r} counts"
                f" {', '.join(self._places)}, so that it cannot be drawn over it. {_WITHOUT_PICTURE}"
            )
            raise NoPicture(message, layer=spec.address, input=self.input_name)
        self._input = InputValues(model, sources, limits, index, geometry)
        takes_ids = model.tokenizer is not None and model.tokenizer.roles.get(self.input_name) == "ids"
        self._tokenizer = model.tokenizer if takes_ids else None
        self._features = model.features.get(self.input_name)
        *self._sizes, self._channels = self._input.shape
        if self._bar is not None and [*spec.shape[1:]] != self._sizes:
            message = (
                f"The map of {spec.address} does not have a value for each {self._bar}. {_WITHOUT_PICTURE}"
            )
            raise NoPicture(message, layer=spec.address, input=self.input_name)
        self._slices = _slices(options.slice, self._sizes[0] if len(self._sizes) == 3 else 1)
        self._size = self._measured()

    def rendering_bytes(self, spec: TensorSpec) -> int:
        """The bytes of memory that drawing takes.

        Args:
            spec: the map.

        Raises:
            AnswerTooLarge: the picture would be too large.
        """
        require_pixels(
            self._size, self._limits, "choose fewer slices (slice=)", "at a smaller scale (scale=)"
        )
        height, width = self._size
        values = spec.size + self._channels * int(np.prod(self._sizes))
        return _BYTES_A_PIXEL * height * width + _BYTES_A_VALUE * values

    def render(
        self, values: NDArray[np.floating], metadata: Mapping[str, str], form: PictureFormat
    ) -> Picture:
        """Draw a map of shape (*places).

        Raises:
            LayerscopeError: the input cannot be read.
        """
        given, options = self._input.values(), self._options
        text, look = {**metadata, "input": self.input_name}, options.picture_options()
        if self._bar is not None:
            names, kept = self._bars(given[:, 0])
            return features_picture(
                values[kept],
                given[kept, 0],
                look,
                limits=self._limits,
                kind=self._bar,
                names=names,
                metadata=text,
                form=form,
            )
        missing = [axis for axis, name in enumerate(self._places) if name not in self._of_map]
        heat = np.expand_dims(values, missing)
        if len(self._places) == 1:
            return series_picture(
                heat,
                given,
                look,
                limits=self._limits,
                axis=self._places[0],
                alpha=options.alpha,
                interpolation=options.interpolation,
                metadata=text,
                form=form,
            )
        is_volume = len(self._places) == 3
        return slices_picture(
            heat if is_volume else heat[np.newaxis],
            given if is_volume else given[np.newaxis],
            self._slices,
            look,
            limits=self._limits,
            axis=self._places[0] if is_volume else None,
            alpha=options.alpha,
            interpolation=options.interpolation,
            metadata=text,
            form=form,
        )

    @property
    def _bar(self) -> str | None:
        """What has a bar each: the features of a vector, or the tokens of a text; None for other inputs."""
        return _BARS.get(self._places)

    def _bars(self, given: NDArray[np.floating]) -> tuple[Sequence[str] | None, Sequence[int]]:
        """The names of the bars, None for their numbers, and which of them are drawn: all but those of padding."""
        every = range(len(given))
        if self._tokenizer is None:
            return self._features, every
        tokens = tokens_of_ids(given.astype(np.int64).tolist(), self._tokenizer)
        kept = [place for place in every if not self._tokenizer.is_padding(tokens[place])] or every
        return token_texts([tokens[place] for place in kept]), kept

    def _measured(self) -> tuple[int, int]:
        options = self._options.picture_options()
        if self._bar is not None:
            labels = self._features or numbers_as_names(self._sizes[0])
            if self._tokenizer is not None:
                labels = ["W" * LONGEST_FEATURE] * len(labels)
            return features_picture_size(labels, options.scale, self._bar)
        if len(self._places) == 1:
            return series_picture_size(self._channels, options.scale)
        height, width = self._sizes[-2:]
        is_volume = len(self._places) == 3
        return slices_picture_size((height, width), len(self._slices), options, is_labelled=is_volume)


def heat_picture(
    plan: QueryPlan, spec: TensorSpec, sources: Sources, options: HeatPictureOptions, limits: Limits
) -> Overlay | MapPicture:
    """The picture of a heat map: over the image if its input takes images, else as `MapPicture` draws it.

    Args:
        plan: of the attribution.
        spec: the map.
        sources: one image.
        options: how the picture looks.
        limits: the limits in force.

    Raises:
        LayerscopeError: the map cannot be drawn over the input.
    """
    model, pictured = plan.model, plan.pictured.get(spec.address)
    if options.input is None and pictured is None:
        index = _input_below(model, spec)
    else:
        index = select_input(model, options.input or pictured)
    if model.preprocessing[model.inputs[index].name] is None:
        return MapPicture(model, sources, options, limits, spec, index)
    if spec.axes[1:] != PLANE:
        named = ", ".join(spec.axes[1:])
        message = f"The map of {spec.address} counts {named}: it is no map over an image. {_WITHOUT_PICTURE}"
        raise NoPicture(message, layer=spec.address, input=model.inputs[index].name)
    return Overlay(model, sources, options, limits, pictured)


def _input_below(model: ModelDescription, spec: TensorSpec) -> int:
    """The input that is drawn under a map: the one that it is of, else the first with its places."""
    inputs = model.taps.select(["input"])
    for index, tap in enumerate(inputs):
        if tap.address == spec.address or set(spec.axes[1:]) <= set(tap.axes):
            return index
    return select_input(model, None)


def _slices(wanted: str | None, count: int) -> Sequence[int]:
    """The numbers of the slices that are drawn."""
    if wanted is not None:
        return chosen_slices(wanted, count)
    shown = min(count, MOST_SLICES)
    return [round(number * (count - 1) / max(1, shown - 1)) for number in range(shown)]
