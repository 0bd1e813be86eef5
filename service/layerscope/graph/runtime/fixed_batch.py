"""Fixed batch: a model that runs with one batch size only takes one image, and its graph fills the batch with copies.

Stateful recurrent layers are such models: they keep a state for each row of the batch. What is fed inside of the graph has to
fill the batch, too, and of what comes out, the first row is the image's.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from layerscope.graph.prepared.prepared_model import ModelMetadata
from layerscope.graph.runtime.plans import Plan
from layerscope.graph.taps.tap import Tap

Array = np.ndarray[Any, np.dtype[Any]]


class FixedBatch:
    """The batch of a model. Without a fixed size, nothing is changed.

    Attributes:
        is_fixed: whether it has a fixed size.
    """

    def __init__(self, metadata: ModelMetadata) -> None:
        self._size = metadata.batch_size or 1
        self._batched = {
            tap.tensor.name for call in metadata.calls for tap in call.taps if tap.tensor.batched
        }
        self.is_fixed = metadata.batch_size is not None

    def filled(self, plan: Plan, values: Sequence[Array]) -> Sequence[Array]:
        """What a plan is fed for one image: values of its taps and weights of a gradient's target fill the batch."""
        if self._size == 1:
            return values
        filled = [*values]
        for number in self._inside(plan):
            filled[number] = np.repeat(values[number], self._size, axis=0)
        return filled

    def first(self, taps: Sequence[Tap], arrays: Sequence[Array]) -> list[Array]:
        """The rows of the image in what a plan gives."""
        return [
            array[:1] if self.is_fixed and tap.tensor.batched else array
            for tap, array in zip(taps, arrays, strict=True)
        ]

    def _inside(self, plan: Plan) -> Iterator[int]:
        """The numbers of what is fed at taps: the placeholders of the model are no taps."""
        yield from (number for number, name in enumerate(plan.key.fed) if name in self._batched)
        gradient = plan.key.gradient
        if gradient is not None and gradient.target in self._batched:
            yield len(plan.key.fed)
