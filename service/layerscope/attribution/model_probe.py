"""What a method may find out about a model and the images of a request."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

Box = tuple[range, ...]
"""Rows and columns."""


class Probe(Protocol):
    """A model, some images, and for each of them a target: a number that its output gives.

    All arrays are float32 with channels last. *Scores* are what is differentiated: the logit of a class where the
    graph has it, see `layerscope.attribution.targets`. Versions of an image are made when their turn comes, run in
    batches, and never kept.
    """

    @property
    def images(self) -> int:
        """How many images there are."""

    def activations(self) -> Array:
        """The values of the place, a layer or an input: (images, height, width, channels)."""

    def slopes(self) -> Array:
        """The gradient of each image's score by those values, in their shape."""

    def image(self, number: int) -> Array:
        """What went into the model: (height, width, channels)."""

    def level(self, pixel: float) -> Array | None:
        """What a grey pixel of 0 to 255 is in the model's input, one value a channel; None if it takes no images."""

    def outputs(self) -> Sequence[float]:
        """What the model's output says of each image's target, such as a probability."""

    def scores_of(self, number: int, count: int, version: Callable[[int], Array]) -> Iterator[float]:
        """The scores of `count` versions of an image, in order."""

    def outputs_covered(self, number: int, boxes: Sequence[Box], cover: Array) -> Iterator[float]:
        """What the model's output says of the target where parts of an image are covered.

        Args:
            number: of the image.
            boxes: the rows and columns that each version has of `cover`, all of about one size; the rest is the image.
            cover: what covers, in the shape of the image.
        """

    def slopes_of(self, number: int, count: int, version: Callable[[int], Array]) -> Iterator[Array]:
        """The gradients of the scores of versions of an image by that version."""
