"""Input values: what a model is given for one image of a request, to be drawn under a map where it is no picture."""

import numpy as np

from layerscope.execution.image_arrays import Array
from layerscope.execution.inputs import Sources, rows_of
from layerscope.execution.overlay_background import only_row
from layerscope.graph.model import ModelDescription
from layerscope.graph.taps.geometry import MapGeometry
from layerscope.limits import Limits


class InputValues:
    """The values of one input. They are made when `values` is called.

    Args:
        model: the model that computes the map.
        sources: the inputs of the request, with one image.
        limits: the bounds in force.
        index: the number of the input.
        geometry: how its values are maps.

    Raises:
        InputMismatch: see `rows_of`.
        OptionInvalid: there are several images.
    """

    def __init__(
        self, model: ModelDescription, sources: Sources, limits: Limits, index: int, geometry: MapGeometry
    ) -> None:
        self._item = only_row(rows_of(model, sources, limits))[index]
        self._limits = limits
        self._geometry = geometry

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of `values`."""
        return self._geometry.folded_shape(self._item.shape(self._limits))

    def values(self) -> Array:
        """The values, float of shape (*places, channels).

        Raises:
            LayerscopeError: they do not fit the model's input.
        """
        given = self._item.load(self._limits)
        (values,) = self._geometry.folded(given[np.newaxis])
        return np.asarray(values, np.result_type(values.dtype, np.float32))
