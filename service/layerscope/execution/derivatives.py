"""Gradients as jobs: they wait, take turns and share batches like everything else that is run."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from layerscope.execution.batches import Array, Batch, Job
from layerscope.graph.runtime.derivatives import Derivative
from layerscope.graph.taps.tap import Shape


@dataclass(frozen=True, eq=False, kw_only=True)
class DerivativeJob(Job):
    """Rows of which a gradient is wanted: an array of the source's shape, which is the only one of `taps`.

    `inputs` are those of the model, then how much each value of the target counts, then the source's values if the
    derivative is fed.
    """

    derivative: Derivative

    def alone(self) -> Batch:
        """A batch of this job only."""
        return DerivativeBatch([self])


class DerivativeBatch(Batch):
    """Jobs for one derivative."""

    @cached_property
    def derivative(self) -> Derivative:
        """What all of them want."""
        (derivative,) = {job.derivative for job in self.jobs if isinstance(job, DerivativeJob)}
        return derivative

    @cached_property
    def input_shapes(self) -> list[Shape]:
        """The shapes of the inputs of the model, without batch axis."""
        return super().input_shapes[: len(self.executable.inputs)]

    @cached_property
    def signature(self) -> list[object]:
        """What must be equal for batches to become one."""
        return [self.derivative, *super().signature]

    @cached_property
    def work_per_row(self) -> int:
        """What computing the target for one row is: the way back is in proportion."""
        return self.executable.inspection.work([self.derivative.target], self.input_shapes)

    @cached_property
    def nbytes(self) -> int:
        """Bytes of all values that live while it runs, forwards and backwards."""
        return len(self.keys) * self.executable.inspection.backward_bytes(
            self.derivative.target, self.input_shapes
        )

    @cached_property
    def is_alone(self) -> bool:
        """Whether others had better not join: nobody knows whether they may before they have."""
        apart = self.derivative.target.tensor.mixed or not self.derivative.source.tensor.batched
        return apart or not self.is_exact

    @property
    def is_ready(self) -> bool:
        """Whether there is a plan to run it."""
        return self.executable.plans.is_gradient_ready(self.derivative)

    def compile(self) -> None:
        """Have a plan to run it."""
        self.executable.plans.compile_gradient(self.derivative)

    def compute(self, inputs: Sequence[Array]) -> list[Array]:
        """The gradient for some rows."""
        count = len(self.executable.inputs)
        weights, *values = inputs[count:]
        gradient = self.executable.gradient
        return [gradient(inputs[:count], self.derivative, weights, *values, exact=self.is_exact)]
