"""The model probe: what an attribution method can compute with a model and the images of a request."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from layerscope.graph.taps.tap import AxisName
from layerscope.text.vocabulary import StandIn

Array = np.ndarray[Any, np.dtype[Any]]

Box = tuple[range, ...]
"""The places along each axis of an image: its rows and columns, or the steps of a series."""


class ModelProbe(Protocol):
    """A model, some images, and for each of them a target: a number that the model's output gives.

    All arrays are float32 with channels last. A *score* is the value that is differentiated: the logit of a class where
    the graph has it, see `layerscope.attribution.targets`. Versions of an image are made one batch at a time, run, and
    not kept.
    """

    @property
    def images(self) -> int:
        """How many images there are."""

    @property
    def places(self) -> tuple[AxisName, ...]:
        """What the axes of an image's places count: rows and columns, or the steps of a series."""

    @property
    def has_ids(self) -> bool:
        """Whether the values of an image are the ids of tokens."""

    def activations(self) -> Array:
        """The values of the target layer, or of the input: (images, *places, channels)."""

    def gradients(self) -> Array:
        """The gradient of each image's score with respect to `activations()`, in the same shape."""

    def image(self, number: int) -> Array:
        """The model's input for an image: (*places, channels)."""

    def over_image(self, values: Array) -> Array:
        """One map over the target layer, (*places), resized to the places of the image.

        Along axes of the image that the layer does not have, it is the same everywhere.
        """

    def grey_values(self, pixel: float) -> Array | None:
        """The values that a grey pixel of 0 to 255 has in the model's input, (channels,).

        None if the input takes no images, so that nobody knows how pixels become its values.
        """

    def stand_in(self, wanted: StandIn | None) -> int | None:
        """The id of the token that stands for the absence of one; None if nobody knows.

        Args:
            wanted: which of the tokens of the model's tokenizer; None for the best that it has.
        """

    def padding(self, number: int) -> Array:
        """Which tokens of a text fill it up, bool of shape (tokens,); none where nobody knows."""

    def outputs(self) -> Sequence[float]:
        """The model's output for the target of each image, such as a probability."""

    def scores_of(self, number: int, count: int, version: Callable[[int], Array]) -> Iterator[float]:
        """The scores of `count` versions of an image, in order.

        Args:
            number: the number of the image.
            count: how many versions there are.
            version: makes a version from its number, in the shape of the image.
        """

    def occluded_outputs(self, number: int, boxes: Sequence[Box], cover: Array) -> Iterator[float]:
        """The model's output for the target when a part of an image is covered, once for each box.

        Args:
            number: the number of the image.
            boxes: the places that are covered, all of about one size.
            cover: what covers them, in the shape of the image.
        """

    def gradients_of(self, number: int, count: int, version: Callable[[int], Array]) -> Iterator[Array]:
        """The gradients of the scores of `count` versions of an image with respect to the version.

        The arguments are those of `scores_of`. There is one array for each version, in the shape of the image.
        """
