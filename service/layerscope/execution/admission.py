"""Admission: how much memory a request takes, known before it runs, and why it may be refused.

A request takes memory twice: while the model computes, for the values of the requested layers and for those on the way to
them; and while its answer is made, for the values and for what is built from them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from layerscope.errors import AnswerTooLarge, InputMismatch, LayerscopeError
from layerscope.execution.ablation_query import AblationPlan
from layerscope.execution.lanes import total_seconds
from layerscope.execution.query_plan import Computation, LayerPlan, QueryPlan
from layerscope.graph.model import LoadedModel, ModelDescription
from layerscope.graph.taps.tap import Shape, Tap
from layerscope.limits import Limits
from layerscope.tensors.spec import TensorSpec

_WAYS = (
    "ask for fewer layers",
    "send fewer images at once, or smaller ones where the model takes any size",
    "choose layers with smaller maps",
)


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What a query makes a model compute.

    Attributes:
        model: the model.
        taps: the layers whose values are returned.
        sizes: the shapes of the inputs, without batch axis.
        images: how many images the values are returned for.
        missing_images: how many of them must run, because values of them are not in the cache.
        missing_taps: the taps that must be computed for these.
        copies: how many times each of these images is run, side by side.
        found: the shapes for these images, without batch axis, where the images themselves have been run to know them.
    """

    model: LoadedModel
    taps: Sequence[Tap]
    sizes: Sequence[Shape]
    images: int
    missing_images: int
    missing_taps: Sequence[Tap]
    copies: int = 1
    found: Mapping[Tap, tuple[int, ...]] = field(default_factory=dict)

    def shapes(self, *, measured: bool) -> list[Shape]:
        """The shapes that the values will have, batch axis first.

        Args:
            measured: whether to run a blank image where only a run can tell a size. Such a size is None otherwise.
        """
        inspection = self.model.executable.inspection
        known: Sequence[Shape]
        if self.found:
            known = [self.found[tap] for tap in self.taps]
        elif measured:
            known = inspection.shapes(self.taps, self.sizes)
        else:
            known = inspection.inferred_shapes(self.taps, self.sizes)
        return [(self.images, *shape) for shape in known]

    def require_measurable(self, limits: Limits) -> None:
        """Check that a blank image may be run, if there are sizes that only a run can tell.

        Raises:
            AnswerTooLarge: by the estimate, it takes more than `limits.run_bytes`.
        """
        inspection = self.model.executable.inspection
        if any(None in shape for shape in inspection.inferred_shapes(self.taps, self.sizes)):
            refusal = refusal_of(Computation(0, inspection.peak_bytes(self.taps, self.sizes), 0), limits)
            if refusal is not None:
                raise refusal

    @property
    def is_sized_by_data(self) -> bool:
        """Whether nothing but a run of these images can tell a size: it is a number in them."""
        inspection = self.model.executable.inspection
        return inspection.is_sized_by_data(self.taps) and any(
            None in shape for shape in inspection.inferred_shapes(self.taps, self.sizes)
        )

    def seconds(self) -> float | None:
        """An estimate of the time that computing takes; None where only a run can tell."""
        if not self.missing_images:
            return 0.0
        # Layers that an operator watches are fetched with every run, whoever asked for it.
        fetched = list(dict.fromkeys([*self.missing_taps, *self.model.watched]))
        seconds = self.model.executable.inspection.run_seconds(fetched, self.sizes)
        return total_seconds((self.copies * self.missing_images, seconds))

    def computation(
        self, specs: Sequence[TensorSpec], attribution_bytes: int, input_bytes: int
    ) -> Computation:
        """The memory that computing takes.

        Args:
            specs: the shapes and dtypes of the values.
            attribution_bytes: what making heat maps of them takes.
            input_bytes: what loading the images takes.
        """
        nbytes = {spec.address: spec.nbytes for spec in specs}
        intermediate = 0
        if self.missing_images:
            # Layers that an operator watches are fetched with every run, whoever asked for it.
            fetched = list(dict.fromkeys([*self.missing_taps, *self.model.watched]))
            peak = self.model.executable.inspection.peak_bytes(fetched, self.sizes)
            intermediate = peak - sum(nbytes[tap.address] for tap in self.missing_taps) // self.images
        return Computation(
            self.copies * sum(nbytes.values()),
            self.copies * self.missing_images * max(0, intermediate),
            attribution_bytes,
            self.copies * input_bytes,
        )


def plan_of(
    workload: Workload,
    limits: Limits,
    *,
    seconds: float | None,
    measured: bool,
    maps: Mapping[str, TensorSpec] | None = None,
    attribution_bytes: int = 0,
    input_bytes: int = 0,
    refused_methods: Mapping[str, LayerscopeError] | None = None,
    ablation: AblationPlan | None = None,
) -> QueryPlan:
    """What a query would compute, how much memory that takes, and whether one request may have it computed.

    Args:
        workload: what it makes the model compute.
        limits: the bounds in force.
        seconds: an estimate of the time of all runs; None where only a run can tell.
        measured: whether to run a blank image where only a run can tell a size.
        maps: the shapes of the heat maps that it asks for, by name of the method.
        attribution_bytes: what making these, and a sweep, takes.
        input_bytes: what loading the images takes.
        refused_methods: why there are no heat maps, by name of the method.
        ablation: the layers and units of a sweep.
    """
    if measured:
        workload.require_measurable(limits)
    layers = tuple(map(LayerPlan, workload.taps, workload.shapes(measured=measured)))
    specs = [spec for layer in layers if (spec := layer.spec) is not None]
    computation = refusal = None
    if len(specs) == len(layers):
        computation = workload.computation(specs, attribution_bytes, input_bytes)
        refusal = refusal_of(computation, limits)
    return QueryPlan(
        model=workload.model.description,
        warnings=workload.model.description.warnings,
        images=workload.images,
        layers=layers,
        seconds=seconds,
        computation=computation,
        refusal=refusal,
        pictured=_pictured(workload.model, [tap.address for tap in workload.taps], maps or {}),
        maps=maps or {},
        refused_methods=refused_methods or {},
        ablation=ablation,
    )


def _pictured(model: LoadedModel, addresses: Sequence[str], maps: Mapping[str, TensorSpec]) -> dict[str, str]:
    """For each address of a layer or heat map, the first input with an image that it is computed from."""
    described = model.description
    inputs = [
        (each.name, tap)
        for each, tap in zip(described.inputs, described.taps.select(["input"]), strict=True)
        if described.preprocessing[each.name] is not None
    ]
    found = {}
    for address in dict.fromkeys([*addresses, *(spec.address for spec in maps.values())]):
        tap = described.taps[address]
        for name, start in inputs:
            # With one image there is nothing to tell apart.
            if len(inputs) == 1 or model.executable.inspection.depends(tap, start):
                found[address] = name
                break
    return found


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


def refusal_of(computation: Computation, limits: Limits) -> AnswerTooLarge | None:
    """Why one request may not have this computed: it is more than `limits.run_bytes`. None if it may."""
    needed = computation.fetched + computation.intermediate
    if needed <= limits.run_bytes:
        return None
    return AnswerTooLarge(
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
