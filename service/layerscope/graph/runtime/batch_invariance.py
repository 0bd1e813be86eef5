"""Batch invariance: what must hold for images to run in one batch, and running them one by one where it does not.

TensorFlow chooses its kernels and how it splits work between threads by the size of the batch. So the values of an image
have other last bits in a batch than alone, in most layers of small models. Where they do depends on the image, too: behind
a LayerNormalization, one batch of ten shows it. No comparison can therefore prove that a batch gives each image the values
it has alone; exact images always run one by one.

Others share batches, if a model does not mix the images. Most mixing is found in the graph (`tracing/batch_axis.py`), but
not a sum that grows along the batch. So the first batch of each plan, and each batch that is larger than those before, is
computed both ways and compared, all its rows, up to rounding.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from cachetools import LRUCache

from layerscope.errors import InputMismatch
from layerscope.graph.runtime.batch_arrays import (
    delivered,
    needs_images_apart,
    one_image,
    same_but_for_rounding,
)
from layerscope.graph.runtime.plans import Plan
from layerscope.graph.taps.tap import Shape, Tap

Array = np.ndarray[Any, np.dtype[Any]]

RunPlan = Callable[[Plan, Sequence[Tap], Sequence[Array]], list[Array]]
"""Runs a plan on what is fed, the batch axis first, and gives one array a tap."""

_MEASURED_KEPT = 1024
_NEVER = 0


class BatchInvariance:
    """Runs batches so that each image gets the values it has alone. Safe to use from many threads.

    Args:
        run: how a plan is run.
    """

    def __init__(self, run: RunPlan) -> None:
        self._run = run
        # The largest batch, by tap, in which images had the values that they have alone; _NEVER if one had others.
        self._measured: LRUCache[tuple[Any, ...], dict[str, int]] = LRUCache(_MEASURED_KEPT)
        self._lock = threading.Lock()

    def fetch(self, plan: Plan, taps: Sequence[Tap], values: Sequence[Array], *, exact: bool) -> list[Array]:
        """Run a plan on a batch: image by image if exact, or if the model mixes images; else together.

        Args:
            plan: computes `taps`, or one gradient.
            taps: what to fetch, or the source of the gradient alone.
            values: what is fed, each (batch, *shape).
            exact: whether the values of an image must not depend on the others at all; otherwise they may by rounding.

        Returns:
            One array a tap, (batch, *tap shape).

        Raises:
            InputMismatch: the model cannot run on the values, or a tap has another size for each image.
        """
        batch = len(values[0])
        if batch > 1 and (exact or not self.is_invariant(plan, taps, [value.shape[1:] for value in values])):
            return self.fetch_by_image(plan, taps, values)
        arrays = self._run(plan, taps, values)
        if any(needs_images_apart(tap, array, batch) for tap, array in zip(taps, arrays, strict=True)):
            return self.fetch_by_image(plan, taps, values)
        together = [delivered(tap, array, batch) for tap, array in zip(taps, arrays, strict=True)]
        return together if batch == 1 else self._checked(plan, taps, values, together)

    def is_invariant(self, plan: Plan, taps: Sequence[Tap], sizes: Sequence[Shape]) -> bool:
        """Whether all batches had the values of single images, but for rounding; true if none has been run yet."""
        with self._lock:
            known = self._measured.get(_measured_key(plan, sizes), {})
        return all(known.get(tap.tensor.name) != _NEVER for tap in taps)

    def fetch_by_image(self, plan: Plan, taps: Sequence[Tap], values: Sequence[Array]) -> list[Array]:
        """Run a plan once for each image. Arguments, result and errors as for `fetch`.

        This also tells the rows of an image apart where a layer folds other axes into the batch axis.
        """
        images = [[value[n : n + 1] for value in values] for n in range(len(values[0]))]
        rows = [self._run(plan, taps, image) for image in images]
        columns = [[one_image(tap, row[k]) for row in rows] for k, tap in enumerate(taps)]
        for tap, column in zip(taps, columns, strict=True):
            if len({array.shape for array in column}) > 1:
                raise InputMismatch(
                    f"{tap.address} has another size for each of these images: send them one by one.",
                    layer=tap.address,
                )
        return [np.stack(column) for column in columns]

    def _checked(
        self, plan: Plan, taps: Sequence[Tap], values: Sequence[Array], together: list[Array]
    ) -> list[Array]:
        """The values of a batch if they are those of each image alone, but for rounding; else those."""
        batch, names = len(values[0]), [tap.tensor.name for tap in taps]
        with self._lock:
            known = self._measured.setdefault(_measured_key(plan, [value.shape[1:] for value in values]), {})
        if all(known.get(name, _NEVER) >= batch for name in names):
            return together
        alone = self.fetch_by_image(plan, taps, values)
        if not _are_different(values):
            # Equal images have equal values even in a model that mixes the images of a batch. Such a batch proves
            # nothing, so nothing is remembered.
            return alone
        for name, found, expected in zip(names, together, alone, strict=True):
            if known.get(name) != _NEVER:
                known[name] = batch if same_but_for_rounding(found, expected) else _NEVER
        return together if all(known[name] != _NEVER for name in names) else alone


def _measured_key(plan: Plan, sizes: Sequence[Shape]) -> tuple[Any, ...]:
    return (plan.key, *map(tuple, sizes))


def _are_different(values: Sequence[Array]) -> bool:
    """Whether no two images of a batch are equal."""
    rows = {b"".join(value[number].tobytes() for value in values) for number in range(len(values[0]))}
    return len(rows) == len(values[0])
