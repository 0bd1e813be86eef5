"""Admission: how much memory a request takes, told before it runs, and a share of what there is for its time.

A request takes memory twice over: while the model computes, for the values asked for and for those on the way to
them; and while its answer is made, for the values and for what is built of them.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from layerscope.errors import AnswerTooLarge, InputMismatch, MemoryBusy
from layerscope.graph.model import LoadedModel, ModelDescription
from layerscope.graph.taps.tap import Shape, Tap
from layerscope.limits import Limits
from layerscope.tensors.spec import TensorSpec

Admission = Callable[[Sequence[TensorSpec]], int]
"""Is shown what will be computed, before anything runs, and raises if the answer would be impossible; else it returns the
bytes that making the answer takes at most, besides the values it is made of."""

_WAYS = (
    "ask for fewer layers",
    "send fewer images at once, or smaller ones where the model takes any size",
    "choose layers with smaller maps",
)


@dataclass(frozen=True)
class Computation:
    """The bytes of the values asked for, and an estimate of those that are there besides at the fullest moment."""

    fetched: int
    intermediate: int

    def working_bytes(self, building: int) -> int:
        """The most that is there at once, if making the answer takes `building` bytes besides the values.

        A batch is taken apart for the cache and put together again, so for a moment its values are there twice.
        """
        return self.fetched + max(self.intermediate, self.fetched, building)


@dataclass(frozen=True)
class Demand:
    """What is asked of a model: the values of `taps`, of `images` images of these sizes.

    `sizes` are the shapes of the inputs, without batch axis; `lacking` is what must be computed, because it is not
    cached: how many images, and for which taps.
    """

    model: LoadedModel
    taps: Sequence[Tap]
    sizes: Sequence[Shape]
    images: int
    lacking: tuple[int, Sequence[Tap]]

    def specs(self) -> list[TensorSpec]:
        """What the values will be."""
        shapes = self.model.executable.inspection.shapes(self.taps, self.sizes)
        return [
            TensorSpec.of(tap, (self.images, *shape)) for tap, shape in zip(self.taps, shapes, strict=True)
        ]

    def shapes(self) -> list[Shape]:
        """The shapes that the values will have, batch axis first; None where only a run can tell."""
        shapes = self.model.executable.inspection.inferred_shapes(self.taps, self.sizes)
        return [(self.images, *shape) for shape in shapes]

    def computation(self, specs: Sequence[TensorSpec]) -> Computation:
        """What computing takes, if the values will be `specs`."""
        images, taps = self.lacking
        nbytes = {spec.address: spec.nbytes for spec in specs}
        besides = 0
        if images:
            fetched = list(dict.fromkeys([*taps, *self.model.watched]))
            peak = self.model.executable.inspection.peak_bytes(fetched, self.sizes)
            besides = peak - sum(nbytes[tap.address] for tap in taps) // self.images
        return Computation(sum(nbytes.values()), images * max(0, besides))


@dataclass(frozen=True)
class LayerPlan:
    """A tap and the shape of its values, batch axis first.

    None stands for a size that only a run can tell, as behind a loop of unknown length.
    """

    tap: Tap
    shape: Shape

    @property
    def spec(self) -> TensorSpec | None:
        """What the values will be, if that is known."""
        sizes = [size for size in self.shape if size is not None]
        return TensorSpec.of(self.tap, tuple(sizes)) if len(sizes) == len(self.shape) else None


@dataclass(frozen=True)
class QueryPlan:
    """What a query would compute.

    Attributes:
        model: what would compute it.
        images: of how many images.
        layers: what of them.
        computation: what it would take; None where only a run can tell.
        refusal: why it may not be computed; None if it may, or if only a run can tell.
    """

    model: ModelDescription
    images: int
    layers: tuple[LayerPlan, ...]
    computation: Computation | None
    refusal: AnswerTooLarge | None


def plan_of(demand: Demand, limits: Limits) -> QueryPlan:
    """What computing would take, and whether one request may. Nothing runs."""
    layers = tuple(map(LayerPlan, demand.taps, demand.shapes()))
    specs = [layer.spec for layer in layers if layer.spec is not None]
    computation = refusal = None
    if len(specs) == len(layers):
        computation = demand.computation(specs)
        try:
            require_computable(computation, limits)
        except AnswerTooLarge as error:
            refusal = error
    return QueryPlan(demand.model.description, demand.images, layers, computation, refusal)


def fixed_sizes(model: ModelDescription) -> list[Shape]:
    """The shapes of the inputs of a model that takes no others.

    Raises:
        InputMismatch: it takes inputs of any size.
    """
    for each in model.inputs:
        if None in each.shape:
            raise InputMismatch(
                f"{model.name} takes inputs of any size, on which everything depends: name or send an image.",
                input=each.name,
                shape=list(each.shape),
            )
    return [each.shape for each in model.inputs]


def needed_bytes(demand: Demand, admit: Admission | None, building: int, limits: Limits) -> int:
    """The bytes of memory that a query takes, answer included.

    Args:
        demand: what it asks of the model.
        admit: decides whether the answer is possible.
        building: the bytes that are taken besides.
        limits: the bounds in force.

    Raises:
        AnswerTooLarge: it is more than one query may take.
    """
    specs = demand.specs()
    computation = demand.computation(specs)
    require_computable(computation, limits)
    if admit is not None:
        building += admit(specs)
    needed = computation.working_bytes(building)
    require_workable(needed, limits)
    return needed


def require_computable(computation: Computation, limits: Limits) -> None:
    """Check what one request would have computed.

    Raises:
        AnswerTooLarge: it is more than `limits.run_bytes`.
    """
    needed = computation.fetched + computation.intermediate
    if needed > limits.run_bytes:
        raise AnswerTooLarge(
            f"Computing the layers asked for takes {needed:,} bytes, {computation.intermediate:,} of them on the way;"
            f" one request may take {limits.run_bytes:,}",
            ways=_WAYS,
            bytes=needed,
            limit=limits.run_bytes,
        )


def require_workable(needed: int, limits: Limits) -> None:
    """Check what one request works in, its answer included.

    Raises:
        AnswerTooLarge: it is more than all requests together may have, `limits.working_bytes`.
    """
    if needed > limits.working_bytes:
        raise AnswerTooLarge(
            f"Making this answer takes {needed:,} bytes of memory; all requests together may take"
            f" {limits.working_bytes:,}",
            ways=_WAYS,
            bytes=needed,
            limit=limits.working_bytes,
        )


class WorkingMemory:
    """Bytes that all requests share. Who asks first is served first, so that large requests are not starved.

    Args:
        most_bytes: how many there are.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._queue: deque[object] = deque()
        self._changed = threading.Condition()
        self.taken = 0

    @contextmanager
    def reserved(self, size: int, timeout: float) -> Iterator[None]:
        """Have `size` bytes, which must not be more than there are, until the context ends.

        Args:
            size: how many.
            timeout: the seconds to wait for them.

        Raises:
            MemoryBusy: they did not become free in that time.
        """
        self._take(size, timeout)
        try:
            yield
        finally:
            with self._changed:
                self.taken -= size
                self._changed.notify_all()

    def _take(self, size: int, timeout: float) -> None:
        turn = object()
        with self._changed:
            self._queue.append(turn)
            try:
                if not self._changed.wait_for(lambda: self._may_take(turn, size), timeout):
                    raise self._busy(size)
                self.taken += size
            finally:
                self._queue.remove(turn)
                self._changed.notify_all()

    def _may_take(self, turn: object, size: int) -> bool:
        return self._queue[0] is turn and self.taken + size <= self._most

    def _busy(self, size: int) -> MemoryBusy:
        return MemoryBusy(
            f"Other requests work in {self.taken:,} of {self._most:,} bytes, and this one takes {size:,}: try again in a"
            " moment, or ask for less.",
            bytes=size,
            taken=self.taken,
            limit=self._most,
        )
