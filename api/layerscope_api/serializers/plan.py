"""Plans as JSON: the shapes and sizes of activations in every format, and whether they would be admitted."""

from collections.abc import Sequence

from layerscope.encode import (
    FORMATS,
    Format,
    ResponseSize,
    response_size,
)
from layerscope.errors import LayerscopeError, TooLarge
from layerscope.execution.admission import require_workable
from layerscope.execution.interface import LayerPlan, QueryPlan
from layerscope.graph.taps.tap import Tap
from layerscope.limits import Limits
from layerscope.tensors.spec import TensorSpec
from layerscope_api.schemas.options import PlanOptions
from layerscope_api.schemas.results import (
    PlanBody,
    PlannedComputation,
    PlannedFormat,
    PlannedLayer,
    PlanRefusal,
)
from layerscope_api.serializers.activations import activation_bytes, activation_metadata
from layerscope_api.serializers.models import identity

_LIMITS = ("run_bytes", "working_bytes", "response_bytes", "json_elements", "short_milliseconds")

_ANY_ID = f"sha256-{'0' * 64}"
"""An id of an image: all ids have the same length, so the size of an answer does not depend on them."""


def plan_body(plan: QueryPlan, options: PlanOptions, limits: Limits) -> PlanBody:
    """The plan of a query, for every format.

    Raises:
        ChannelNotFound, OptionInvalid: an option does not fit the shape of a layer.
    """
    known, form = plan.computation, options.format or "json"
    layers = [_layer(each, options) for each in plan.layers]
    formats = {each: _format(plan, options, each, limits) for each in FORMATS}
    return PlanBody(
        model=identity(plan.model),
        images=plan.images,
        format=form,
        admitted=formats[form].admitted,
        layers=layers,
        formats=formats,
        computation=PlannedComputation(
            fetched_bytes=known.fetched if known else None,
            intermediate_bytes=known.intermediate if known else None,
        ),
        estimated_seconds=plan.seconds,
        limits={name: getattr(limits, name) for name in _LIMITS},
    )


def _layer(plan: LayerPlan, options: PlanOptions) -> PlannedLayer:
    """The tensor that would be sent of a layer. If its shape is not known before a run, options are not applied."""
    address, dtype, shape, nbytes = plan.tap.address, plan.tap.dtype, plan.shape, None
    if plan.spec is not None:
        sent = plan.spec.reduced(options.tensor_options())
        dtype, shape, nbytes = sent.dtype, sent.shape, sent.nbytes
    return PlannedLayer(address=address, shape=list(shape), dtype=dtype.name, bytes=nbytes)


def _format(plan: QueryPlan, options: PlanOptions, form: Format, limits: Limits) -> PlannedFormat:
    if plan.computation is None:
        return PlannedFormat(bytes=None, exact=False, working_bytes=None, admitted=None, refusal=None)
    layers = [(each.tap, each.spec) for each in plan.layers if each.spec is not None]
    working: int | None = None
    refusal: LayerscopeError | None = None
    try:
        building = activation_bytes([spec for _, spec in layers], options, form, limits)
        working = plan.computation.working_bytes(building)
        require_workable(working, limits)
    except LayerscopeError as error:
        refusal = error
    has_size = refusal is None or isinstance(refusal, TooLarge)
    size = _size(plan, layers, options, form) if has_size else None
    refusal = plan.refusal or refusal
    return PlannedFormat(
        bytes=size.nbytes if size else None,
        exact=size is not None and size.exact,
        working_bytes=working,
        admitted=refusal is None,
        refusal=refusal and PlanRefusal(error=refusal.message, code=refusal.code, details=refusal.details),
    )


def _size(
    plan: QueryPlan, layers: Sequence[tuple[Tap, TensorSpec]], options: PlanOptions, form: Format
) -> ResponseSize:
    return response_size(
        layers,
        [_ANY_ID] * (plan.images * (1 if plan.tokens else len(plan.model.inputs))),
        options.tensor_options(),
        form,
        activation_metadata(plan.model, options),
        statistics=options.statistics,
        warnings=plan.warnings,
        seed=options.seed if plan.model.samples else None,
        tokens=plan.tokens,
    )
