"""Gradients as jobs: they wait in the queues and share batches like all other runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from layerscope.execution.batches import Array, Batch, Job
from layerscope.graph.runtime.derivatives import Derivative
from layerscope.graph.runtime.runner import Runner
from layerscope.graph.taps.tap import Shape


@dataclass(frozen=True, eq=False, kw_only=True)
class GradientJob(Job):
    """The gradients of rows: the result is one array in the shape of the derivative's source, the only one of `taps`.

    `inputs` are those of the model, then the weights that the gradient of the target's values is multiplied with, then
    the values of the source if the derivative is fed.
    """

    derivative: Derivative

    def alone(self) -> Batch:
        """A batch of this job only."""
        return GradientBatch([self])


class GradientBatch(Batch):
    """Jobs with the same derivative."""

    @cached_property
    def derivative(self) -> Derivative:
        """The derivative of all of them."""
        (derivative,) = {job.derivative for job in self.jobs if isinstance(job, GradientJob)}
        return derivative

    @cached_property
    def input_shapes(self) -> list[Shape]:
        """The shapes of the model's inputs, without batch axis."""
        return super().input_shapes[: len(self.executable.inputs)]

    @cached_property
    def signature(self) -> list[object]:
        """What must be equal for batches to become one."""
        return [self.derivative, *super().signature]

    @cached_property
    def work_per_row(self) -> int:
        """The work of the forward pass for one row. That of the backward pass is in proportion to it."""
        return self.executable.inspection.work([self.derivative.target], self.input_shapes)

    @cached_property
    def run_seconds(self) -> float | None:
        """As for every batch, with the pass backwards."""
        return self._of_all_rows(
            self.executable.inspection.gradient_seconds(self.derivative.target, self.input_shapes)
        )

    @cached_property
    def nbytes(self) -> int:
        """Bytes of all values that exist at once: the backward pass needs those of the forward pass."""
        return len(self.keys) * self.executable.inspection.backward_bytes(
            self.derivative.target, self.input_shapes
        )

    @property
    def moved_bytes(self) -> int:
        """Bytes of its inputs, and of its gradients."""
        return self._input_bytes + len(self.keys) * self.executable.inspection.value_bytes(
            [self.derivative.source], self.input_shapes
        )

    @cached_property
    def is_alone(self) -> bool:
        """Whether it must run without other batches.

        Where a model mixes the images of a batch, or the source is the same for all images, a gradient belongs to one
        image only if it runs alone. Exact ones run one by one, so that joining would only make each wait for the others.
        """
        apart = (
            self.executable.is_exact
            or self.derivative.target.tensor.mixed
            or not self.derivative.source.tensor.batched
        )
        return apart or not self.is_exact

    @property
    def is_ready(self) -> bool:
        """Whether its plan is compiled."""
        return self.executable.plans.is_gradient_ready(self.derivative, self.edits)

    def compile(self) -> None:
        """Compile its plan."""
        self.executable.plans.compile_gradient(self.derivative, self.edits)

    def compute(self, inputs: Sequence[Array], runner: Runner) -> list[Array]:
        """The gradients for some rows."""
        count = len(self.executable.inputs)
        weights, *values = inputs[count:]
        gradient = runner.gradient(
            inputs[:count],
            self.derivative,
            weights,
            *values,
            edits=self.edits,
            seed=self.seed,
            exact=self.is_exact,
        )
        return [gradient]
