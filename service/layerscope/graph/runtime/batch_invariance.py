"""Batch invariance: which taps have the same values in a batch as when each image runs alone.

TensorFlow chooses its kernels and how it splits work between threads by the size of the batch. So some layers of a
single image are computed in another order than those of a batch, and their last bits differ: at 8 of the 9 taps of the
demo model and at 5 of the 156 taps of MobileNetV2. Which ones they are depends on the processor, the sizes and the
version of TensorFlow, so it cannot be read from the graph; it is measured with the first batch of each plan and size.
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
    same_bits,
    same_but_for_rounding,
)
from layerscope.graph.runtime.plans import Plan
from layerscope.graph.taps.tap import Shape, Tap

Array = np.ndarray[Any, np.dtype[Any]]

RunPlan = Callable[[Plan, Sequence[Tap], Sequence[Array]], list[Array]]
"""Runs a plan on what is fed, the batch axis first, and gives one array a tap."""

_MEASURED_KEPT = 1024


class BatchInvariance:
    """Runs batches so that each image gets the values it has alone. Safe to use from many threads.

    Args:
        run: how a plan is run.
    """

    def __init__(self, run: RunPlan) -> None:
        self._run = run
        self._measured: LRUCache[tuple[Any, ...], dict[str, bool]] = LRUCache(_MEASURED_KEPT)
        self._lock = threading.Lock()

    def fetch(self, plan: Plan, taps: Sequence[Tap], values: Sequence[Array], *, exact: bool) -> list[Array]:
        """Run a plan on a batch: together where that changes no image's values, else image by image.

        Args:
            plan: computes `taps`, or one gradient.
            taps: what to fetch, or the source of the gradient alone.
            values: what is fed, each (batch, *shape).
            exact: whether values must be the same to the last bit; otherwise they may differ by rounding.

        Returns:
            One array a tap, (batch, *tap shape).

        Raises:
            InputMismatch: the model cannot run on the values, or a tap has another size for each image.
        """
        batch = len(values[0])
        if batch > 1 and not self.is_invariant(
            plan, taps, [value.shape[1:] for value in values], exact=exact
        ):
            return self.fetch_by_image(plan, taps, values)
        arrays = self._run(plan, taps, values)
        apart = any(needs_images_apart(tap, array, batch) for tap, array in zip(taps, arrays, strict=True))
        if apart or not self._measure(plan, taps, arrays, values, exact=exact):
            return self.fetch_by_image(plan, taps, values)
        return [delivered(tap, array, batch) for tap, array in zip(taps, arrays, strict=True)]

    def is_invariant(self, plan: Plan, taps: Sequence[Tap], sizes: Sequence[Shape], *, exact: bool) -> bool:
        """Whether a batch had the values of single images before; true if none has been run yet."""
        with self._lock:
            known = self._measured.get((plan.key, exact, *map(tuple, sizes)), {})
        return all(known.get(tap.tensor.name, True) for tap in taps)

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

    def _measure(
        self,
        plan: Plan,
        taps: Sequence[Tap],
        arrays: Sequence[Array],
        values: Sequence[Array],
        *,
        exact: bool,
    ) -> bool:
        """Whether the arrays of a batch hold what each image gets alone.

        The first image of the first batch of a size is run alone and compared; its result counts for all later batches.
        """
        if len(values[0]) == 1:
            return True
        key = (plan.key, exact, *(value.shape[1:] for value in values))
        names = [tap.tensor.name for tap in taps]
        with self._lock:
            known = self._measured.setdefault(key, {})
        if not known.keys() >= set(names):
            if all(np.array_equal(value[0], value[1]) for value in values):
                # Two equal images have equal values even in a model that mixes the images of a batch. Such a batch
                # proves nothing, so nothing is remembered.
                return False
            alone = self._run(plan, taps, [value[:1] for value in values])
            same = same_bits if exact else same_but_for_rounding
            for name, array, single in zip(names, arrays, alone, strict=True):
                known[name] = same(array[:1], single)
        return all(known[name] for name in names)
