"""Ablation specs: which tensors of a model a sweep needs, determined before anything runs."""

from collections.abc import Sequence
from dataclasses import dataclass

from layerscope.attribution.targets import Output
from layerscope.errors import InputMismatch, OptionInvalid, TooMany
from layerscope.execution.ablation_query import AblationOptions
from layerscope.execution.attribution_spec import resolve_output
from layerscope.graph.model import LoadedModel
from layerscope.graph.runtime.batch_arrays import require_editable
from layerscope.graph.taps.selectors import read_selectors, require_one
from layerscope.graph.taps.tap import Tap
from layerscope.interventions import MEAN
from layerscope.limits import Limits


@dataclass(frozen=True)
class AblationSpec:
    """A sweep of which everything is resolved but the values.

    Attributes:
        options: what is taken away.
        layers: the layers that are changed.
        output: the output that the effect is measured on.
        frontier: what else must be known so that only what lies behind the layer is run; None where the whole model is run.
    """

    options: AblationOptions
    layers: tuple[Tap, ...]
    output: Output
    frontier: tuple[Tap, ...] | None

    @property
    def measured(self) -> tuple[Tap, ...]:
        """The taps that effects are measured at."""
        return tuple(dict.fromkeys([self.output.tap, self.output.score_tap]))

    @property
    def needs_own_values(self) -> bool:
        """Whether the values of the layers must be known before a unit can be replaced."""
        return self.options.by != "layer" or (self.options.patch is None and self.options.set == MEAN)

    @property
    def taps(self) -> list[Tap]:
        """The taps that are fetched for the images as they are."""
        own = self.layers if self.needs_own_values else ()
        return list(dict.fromkeys([*own, *(self.frontier or ()), *self.measured]))


def resolve_ablation(model: LoadedModel, options: AblationOptions) -> AblationSpec:
    """Determine which tensors a sweep needs.

    Raises:
        LayerscopeError: there is no such output or layer, or it cannot be changed.
        OptionInvalid: the target does not depend on a layer.
    """
    described, inspection = model.description, model.executable.inspection
    output = resolve_output(model, options.target.output)
    selected = described.taps.select(read_selectors(options.layers))
    if options.by == "layer":
        if options.screen is not None:
            raise OptionInvalid("A screening chooses among channels or places, not layers.", option="screen")
        return AblationSpec(options, _replaceable(model, options, selected, output), output, None)
    require_one(",".join(options.layers), [each.address for each in selected])
    _require_replaceable(selected[0], options)
    if not inspection.depends(output.score_tap, selected[0]):
        raise _not_behind(selected[0], output)
    return AblationSpec(options, tuple(selected), output, _frontier(model, selected[0], output))


def require_few_units(units: int, images: int, limits: Limits) -> None:
    """Check that a sweep takes no more runs than one attribution may.

    Raises:
        TooMany: all images together take more than `limits.attribution_runs`.
    """
    if units * images > limits.attribution_runs:
        raise TooMany(
            f"This sweep takes {units * images:,} runs, more than the {limits.attribution_runs:,} one request may take",
            ways=(
                "run only the channels that a screening chooses (screen=)",
                "sweep places in fewer boxes (grid=), or fewer layers",
                "send fewer images at once",
            ),
            runs=units * images,
            limit=limits.attribution_runs,
        )


def _require_replaceable(tap: Tap, options: AblationOptions) -> None:
    """Check that other values can be put in place of those of a tap.

    Raises:
        InputMismatch: it cannot be edited.
        OptionInvalid: the mean of each channel is what is there already.
    """
    require_editable([tap])
    has_places = len(tap.shape) > (tap.channel_axis is not None)
    if options.set == MEAN and options.patch is None and not has_places:
        raise OptionInvalid(
            f"{tap.address} has no places to take a mean over: give set a number, such as 0.",
            option="set",
            layer=tap.address,
        )


def _replaceable(
    model: LoadedModel, options: AblationOptions, selected: Sequence[Tap], output: Output
) -> tuple[Tap, ...]:
    """Those of the selected layers that can be changed, each tensor once, and that the target depends on."""
    found: dict[str, Tap] = {}
    for tap in selected:
        try:
            _require_replaceable(tap, options)
        except (InputMismatch, OptionInvalid):
            if len(selected) == 1:
                raise
            continue
        if model.executable.inspection.depends(output.score_tap, tap):
            found.setdefault(tap.tensor.name, tap)
    if not found:
        raise _not_behind(selected[0], output)
    return tuple(found.values())


def _frontier(model: LoadedModel, tap: Tap, output: Output) -> tuple[Tap, ...] | None:
    """What must be known besides a tap to run only what lies behind it; None where that is impossible.

    Versions cannot share a run of a model that takes one image at a time, and the random numbers behind a layer are those that
    the whole model draws.
    """
    if model.executable.has_fixed_batch or model.executable.samples or not tap.tensor.name.endswith(":0"):
        return None
    try:
        return tuple(model.executable.inspection.frontier(tap, output.tap))
    except InputMismatch:
        return None


def _not_behind(tap: Tap, output: Output) -> OptionInvalid:
    return OptionInvalid(
        f"{output.score_tap.address}, where the target is measured, does not depend on {tap.address}: choose a layer before it.",
        option="layer",
        layer=tap.address,
    )
