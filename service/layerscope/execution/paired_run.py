"""Paired runs: each image twice in one batch, as it is and under the edits, so that a difference is the edits' and no rounding."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from layerscope.errors import OptionInvalid
from layerscope.execution.admission import Workload
from layerscope.execution.batches import Job
from layerscope.execution.inputs import stack
from layerscope.execution.lanes import Lane
from layerscope.execution.query_run import Array, QueryRun, rows_and_taps
from layerscope.graph.edits import Edit
from layerscope.graph.taps.tap import Tap
from layerscope.tensors.activations import Activation, Activations

COPIES = 2
"""Each image is there as it is, and then under the edits."""


@dataclass(frozen=True)
class Pair:
    """The values of the same layers for the same images.

    Attributes:
        clean: of the model as it is.
        edited: under the edits.
    """

    clean: Activations
    edited: Activations

    @property
    def change(self) -> Activations:
        """The edited values minus those without edits.

        Raises:
            OptionInvalid: a layer gives no floating-point numbers.
        """
        changes = {address: _difference(each, self.clean[address]) for address, each in self.edited.items()}
        return replace(self.edited, by_address=changes)


class PairedRun(QueryRun):
    """A query under edits of which the values without edits are wanted, too. Arguments as for `QueryRun`.

    What is kept of an image and a tap is one array, (2, *shape), so that both always come from one batch.
    """

    def workload(self) -> Workload:
        """What the model has to compute."""
        return replace(super().workload(), copies=COPIES)

    def activations(self, lane: Lane) -> Activations:
        """The values under the edits. Raises as `QueryRun.activations`."""
        return self.pair(lane).edited

    def pair(self, lane: Lane) -> Pair:
        """Run what is not in the cache. Raises as `activations`."""
        found, hit = self._values(lane)
        clean, edited = (
            self._activations_of(
                {tap: [array[half] for array in arrays] for tap, arrays in found.items()}, hit
            )
            for half in range(COPIES)
        )
        return Pair(replace(clean, edits=()), edited)

    def _key_name(self, tap: Tap) -> str:
        """What the values of a tap are called in the cache: also those before all edits are not the ones of other runs."""
        return f"{tap.address} pair{self.edits.name(self._taps)}"

    def _compute(self, positions: Sequence[tuple[int, Tap]], lane: Lane) -> list[Array]:
        """Run the rows that miss a value, each twice, for all taps that any of them misses."""
        rows, taps = rows_and_taps(positions, self._taps)
        twice = [row for row in rows for _ in range(COPIES)]
        edits = self.edited(taps, rows, lane)
        job = Job(
            executable=self._model.executable,
            inputs=stack([self.load(row) for row in twice]),
            keys=[f"{self.names[row]} {number}" for number, row in enumerate(twice)],
            taps=taps,
            deadline=self._deadline,
            cancellation=lane.cancellation,
            owner=lane.owner,
            edits={tap: _beside_none(edit, len(rows)) for tap, edit in edits.items()},
            seed=self.seed,
            is_exact=False,
        )
        arrays = dict(zip(taps, self._outcome(job, lane), strict=True))
        line = {row: COPIES * position for position, row in enumerate(rows)}
        return [arrays[tap][line[row] : line[row] + COPIES].copy() for row, tap in positions]


def _beside_none(edit: Edit, images: int) -> Edit:
    """An edit with two rows an image: one that changes nothing, and its own."""
    none = Edit()
    arrays = {}
    for each in fields(Edit):
        own = np.asarray(getattr(edit, each.name))
        rows = np.repeat(np.broadcast_to(own, (images, *own.shape[1:])), COPIES, axis=0)
        rows[::COPIES] = getattr(none, each.name)
        arrays[each.name] = rows
    return Edit(**arrays)


def _difference(edited: Activation, clean: Activation) -> Activation:
    if edited.values.dtype.kind != "f":
        address = edited.tap.address
        message = f"{address} gives {edited.values.dtype.name}, of which no change is shown: leave out change, or the layer."
        raise OptionInvalid(message, option="change", layer=address)
    with np.errstate(all="ignore"):
        return replace(edited, values=edited.values - clean.values)
