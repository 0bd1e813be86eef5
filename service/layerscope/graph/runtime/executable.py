"""Executable: a traced model that runs. Its taps are fetched, fed and differentiated by, through compiled plans."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import tensorflow as tf

from layerscope.errors import InputMismatch, MemoryBusy, ModelNotLoaded
from layerscope.graph.analysis.cost_model import CostModel
from layerscope.graph.analysis.shapes import TapShapes
from layerscope.graph.analysis.subgraph import GraphParts
from layerscope.graph.edits import Edit
from layerscope.graph.prepared.prepared_model import PreparedModel
from layerscope.graph.rewrites import REWRITES, Rewrite
from layerscope.graph.rewrites.bounded_sizes import size_refusal, with_bounded_sizes
from layerscope.graph.runtime.batch_arrays import (
    batch_of,
    delivered,
    edit_arrays,
    fitted,
    fitted_weights,
    in_order,
    require_batched,
)
from layerscope.graph.runtime.batch_invariance import BatchInvariance
from layerscope.graph.runtime.derivatives import Derivative
from layerscope.graph.runtime.fixed_batch import FixedBatch
from layerscope.graph.runtime.inspection import GraphInspection
from layerscope.graph.runtime.plan_selection import PlanSelection
from layerscope.graph.runtime.plans import Plan, Runtime
from layerscope.graph.taps.shape_errors import cannot_run
from layerscope.graph.taps.tap import Input, Shape, Tap
from layerscope.limits import Limits

Array = np.ndarray[Any, np.dtype[Any]]

_SIZES_KEPT = 64


class Executable:
    """Runs one traced model: fetches, feeds and differentiates by its taps. Safe to use from many threads.

    The values of an image are those it has when it runs alone, also where the model mixes the images of a batch: if
    `exact`, images run one by one. If not, they run together where that changes values by no more than rounding, see
    `layerscope.graph.runtime.batch_invariance`.

    Which taps are fetched together can change the last bits either way, because TensorFlow fuses operations by what is
    fetched.

    The weights stay in the memory of `prepared`, which the executable keeps until it is closed.

    Args:
        prepared: the model.
        plan_bytes: memory for the plans that are kept.
        exact: see above.
        rewrites: what makes plans faster; none for plain plans.
        runtime: what runs plans.
        data_sized_bytes: the bytes that a value may have whose size is a number in the input.

    Attributes:
        inputs: what the model is called with.
        samples: whether it draws random numbers that depend on a seed.
        is_exact: whether images run one by one, but for runs that need not be exact.
        has_fixed_batch: whether the model runs with one batch size only, so that images always run one by one.
        data_sized_bytes: as given.
        plans: which plans there are, and how to compile them before a run needs them.
        inspection: shapes, cost estimates and dependencies of the taps.
    """

    def __init__(
        self,
        prepared: PreparedModel,
        *,
        plan_bytes: int,
        exact: bool = True,
        rewrites: Sequence[Rewrite] = REWRITES,
        runtime: Runtime = "tensorflow",
        data_sized_bytes: int = Limits().data_sized_bytes,
    ) -> None:
        self._prepared: PreparedModel | None = prepared
        bounded = with_bounded_sizes(prepared.graph, prepared.metadata.data_sized, data_sized_bytes)
        prepared = replace(prepared, graph=bounded)
        parts = GraphParts(bounded)
        shapes = TapShapes(prepared, sizes=_SIZES_KEPT, data_sized_bytes=data_sized_bytes)
        costs = CostModel(prepared.metadata.calls, shapes)
        self._closing: list[Callable[[], None]] = []
        self.inputs: tuple[Input, ...] = prepared.metadata.inputs
        self.data_sized_bytes = data_sized_bytes
        self.samples = prepared.metadata.seed is not None
        self.plans = PlanSelection(
            prepared, parts, costs, plan_bytes=plan_bytes, rewrites=rewrites, runtime=runtime
        )
        self.inspection = GraphInspection(prepared, parts, shapes, costs, self.run)
        self._batch = FixedBatch(prepared.metadata)
        self._invariance = BatchInvariance(self._run_plan)
        self.has_fixed_batch = self._batch.is_fixed
        self.is_exact = exact or self.has_fixed_batch

    @property
    def prepared(self) -> PreparedModel:
        """The model.

        Raises:
            ModelNotLoaded: the executable is closed.
        """
        if self._prepared is None:
            raise ModelNotLoaded("The model was unloaded meanwhile: load it again.")
        return self._prepared

    def when_closed(self, callback: Callable[[], None]) -> None:
        """Have a function called when the executable is closed. It must return at once."""
        self._closing.append(callback)

    def run(
        self,
        inputs: Sequence[Array],
        taps: Sequence[Tap],
        feeds: Mapping[Tap, Array] | None = None,
        *,
        edits: Mapping[Tap, Edit] | None = None,
        seed: int = 0,
        exact: bool = True,
    ) -> list[Array]:
        """Run the model once.

        Args:
            inputs: one array an input of the model, each (batch, *shape), in the order of `self.inputs`.
            taps: the values to fetch.
            feeds: values to put in place of what the model would compute there, each (batch, *tap shape).
            edits: changes of what is computed there, by tap; see `Edit`. A fetched tap that is edited has its edited values.
            seed: of the random numbers, at least 0, if the model samples.
            exact: whether this run is exact, if the executable is.

        Returns:
            One array a tap, (batch, *tap shape), in the tap's delivered dtype. Where a layer folds other axes
            into the batch axis, an image has several rows: (batch, rows, *tap shape).

        Raises:
            InputMismatch: the arrays do not fit the inputs, the fed or edited taps or each other, or a tap cannot be edited.
            ModelNotLoaded: the executable is closed.
        """
        feeds, edits = feeds or {}, in_order(edits or {})
        batch = batch_of(inputs)
        require_batched(feeds)
        own = [fitted(each.name, each.shape, each.dtype, a, batch) for each, a in self._paired(inputs)]
        values = [
            *own,
            *self.seeds(seed, batch),
            *(fitted(tap.address, tap.shape, tap.tensor.dtype, a, batch) for tap, a in feeds.items()),
            *edit_arrays(edits, batch),
        ]
        plan = self.plans.for_run(taps, [value.shape[1:] for value in own], feeds, edits)
        return self._invariance.fetch(plan, taps, values, exact=self._is_alone(exact))

    def gradient(
        self,
        inputs: Sequence[Array],
        derivative: Derivative,
        weights: Array | None = None,
        values: Array | None = None,
        *,
        edits: Mapping[Tap, Edit] | None = None,
        seed: int = 0,
        exact: bool = True,
    ) -> Array:
        """Differentiate one value by another.

        Args:
            inputs: as for `run`.
            derivative: of what by what.
            weights: how much each value of the target counts, in its shape, (batch, *target shape); left out, one.
            values: the source's, as `run` returns them, if they are known: what comes before the source is not
                computed again. Only for a derivative that `is_fed`.
            edits: as for `run`. The gradient is by what the readers of the source get.
            seed: as for `run`.
            exact: as for `run`.

        Returns:
            The gradient, as `run` returns the source.

        Raises:
            NotDifferentiable: the target does not depend on the source, or not smoothly.
            InputMismatch: the arrays do not fit the inputs, the target or the source.
            ModelNotLoaded: the executable is closed.
        """
        target, source = derivative.target, derivative.source
        batch = batch_of(inputs)
        arrays = [fitted(each.name, each.shape, each.dtype, a, batch) for each, a in self._paired(inputs)]
        if weights is None:
            (shape,) = self.inspection.shapes([target], [array.shape[1:] for array in arrays])
            weights = np.ones((batch, *shape), np.dtype(target.tensor.dtype))
        arrays.extend(self.seeds(seed, batch))
        if values is not None:
            require_batched([source])
            arrays.append(fitted(source.address, source.shape, source.tensor.dtype, values, batch))
        edits = in_order(edits or {})
        arrays.extend(edit_arrays(edits, batch))
        arrays.append(fitted_weights(target, weights, batch))
        plan = self.plans.for_gradient(derivative, edits)
        # A tensor without a batch axis is the same for every image, but its gradient is not. Nor can the gradient of
        # a value that mixes images be told apart by image.
        if not (source.tensor.batched and target.tensor.batched) or target.tensor.mixed:
            return self._invariance.fetch_by_image(plan, (source,), arrays)[0]
        return self._invariance.fetch(plan, (source,), arrays, exact=self._is_alone(exact))[0]

    def run_between(
        self,
        sources: Mapping[Tap, Array],
        targets: Sequence[Tap],
        edits: Mapping[Tap, Edit] | None = None,
        rows: int = 1,
    ) -> list[Array]:
        """Run only the layers between some taps and others.

        Args:
            sources: values by tap, (batch, *shape); of any size that the layers between can take.
            targets: what is computed from them and from no other input.
            edits: changes of values on the way, of the sources too, by tap; see `Edit`.
            rows: how many versions of one image the edits make. An edited source of one row is read as that many rows.

        Returns:
            One array a target, (batch, *shape), in the tap's delivered dtype.

        Raises:
            InputMismatch: the layers between cannot run on part of the values, or the edits do not fit.
            ModelNotLoaded: the executable is closed.
        """
        edits = in_order(edits or {})
        plan = self.plans.for_part(tuple(sources), targets, edits)
        arrays = [np.asarray(array, np.dtype(tap.tensor.dtype)) for tap, array in sources.items()]
        batch = max(rows, *map(len, arrays))
        found = self._run_plan(plan, targets, [*arrays, *edit_arrays(edits, batch)])
        return [delivered(target, array, batch) for target, array in zip(targets, found, strict=True)]

    def batches(self, taps: Sequence[Tap], input_shapes: Sequence[Shape]) -> bool:
        """Whether images may run together for `taps`: never if exact, else as far as is known, the first batch tells."""
        if self.is_exact or any(tap.tensor.mixed for tap in taps):
            return False
        plan = self.plans.find(taps, input_shapes)
        return plan is None or self._invariance.is_invariant(plan, taps, input_shapes)

    def seeds(self, seed: int, batch: int) -> list[Array]:
        """What plans are fed behind the inputs: the seed for each image, if the model samples."""
        return [np.full(batch, seed, np.int64)] if self.samples else []

    def close(self) -> None:
        """Free all memory. The executable cannot be used afterwards."""
        self._prepared = None
        self.plans.close()
        for callback in self._closing:
            callback()

    def _is_alone(self, exact: bool) -> bool:
        """Whether each image of a run must run alone."""
        return self.has_fixed_batch or (exact and self.is_exact)

    def _run_plan(self, plan: Plan, taps: Sequence[Tap], values: Sequence[Array]) -> list[Array]:
        return self._batch.first(taps, _run_plan(plan, taps, self._batch.filled(plan, values)))

    def _paired(self, arrays: Sequence[Array]) -> Iterator[tuple[Input, Array]]:
        if len(arrays) != len(self.inputs):
            raise InputMismatch(f"The model takes {len(self.inputs)} inputs, not {len(arrays)}.")
        return zip(self.inputs, arrays, strict=True)


def _run_plan(plan: Plan, taps: Sequence[Tap], values: Sequence[Array]) -> list[Array]:
    """The arrays of `taps` that a plan computes, or its gradient alone.

    Raises:
        InputMismatch: the model cannot run on arrays of these shapes, or on their values.
        AnswerTooLarge: a number among the values asks for a larger value inside than there may be.
        MemoryBusy: the machine has not the memory for it.
    """
    try:
        arrays = plan(values)
    except tf.errors.ResourceExhaustedError as error:
        raise MemoryBusy("The machine has not enough free memory for this run: try again later.") from error
    except (ValueError, TypeError, tf.errors.OpError) as error:
        refusal = size_refusal(error)
        if refusal is not None:
            raise refusal from error
        # Kernels refuse inputs in every way: sizes as invalid or aborted, lengths and indices as failed preconditions.
        raise cannot_run([value.shape for value in values]) from error
    if plan.key.gradient is not None:
        return arrays[-1:]
    by_name = dict(zip(plan.key.fetched, arrays, strict=True))
    return [by_name[tap.tensor.name] for tap in taps]
