"""Comparisons: where two models begin to differ on the same images, and where two images begin to differ in one model."""

from typing import cast

from fastapi import APIRouter, Request, Response

from layerscope.execution.comparison_plan import ComparisonPlan
from layerscope.execution.comparison_query import Comparison, ComparisonQuery, Measure
from layerscope.execution.interface import PreparedComparison, Progress, Query, QueryPlan, Result
from layerscope.tensors.activations import Activations
from layerscope_api.context.account import account_of
from layerscope_api.context.scopes import INFER
from layerscope_api.context.service import Service, ServiceDependency
from layerscope_api.observability.request_metrics import request_metrics
from layerscope_api.requests.body import ParsedRequest, read_request
from layerscope_api.requests.edits import with_edits
from layerscope_api.responses.event_stream import STREAMS, Events, EventStreamResponse, requested_stream
from layerscope_api.responses.execution import Execution
from layerscope_api.responses.images import encoded_picture_body, picture_format
from layerscope_api.responses.prepared import answered
from layerscope_api.responses.respond import Answer, ResponseBody, json_body, send
from layerscope_api.routes.endpoint import Endpoint
from layerscope_api.schemas.comparison_options import (
    ComparisonOptions,
    ImageComparisonOptions,
    ImageComparisonPictureOptions,
)
from layerscope_api.schemas.comparisons import ComparisonBody, ImageComparisonBody
from layerscope_api.schemas.openapi import PICTURE, RUN_ERRORS, Responses, query_and_body
from layerscope_api.serializers.comparisons import (
    comparison_bytes,
    comparison_json,
    comparison_picture_bytes,
    image_comparison_bytes,
    image_comparison_json,
    image_comparison_picture_bytes,
    render_comparison,
    render_image_comparison,
)

router = APIRouter(prefix="/v1", tags=["comparisons"], dependencies=[INFER])

_RESPONSES: Responses = {
    **RUN_ERRORS,
    200: {
        "description": "The comparison as JSON, or as a stream of progress with JSON at its end",
        "content": {each: {"schema": {"type": "string"}} for each in STREAMS},
    },
}


class _ModelComparison:
    """A comparison of two models that answers one request.

    Args:
        service: the engine, the stored images and the limits.
        request: the HTTP request, whose body has been read.
        parsed: its options and images.
    """

    def __init__(self, service: Service, request: Request, parsed: ParsedRequest[ComparisonOptions]) -> None:
        self._service = service
        self._request = request
        self._parsed = parsed

    def query(self) -> ComparisonQuery:
        """What to compare. It blocks while stored images are fetched."""
        options = self._parsed.options
        images = self._service.named_images(account_of(self._request.scope))
        query = ComparisonQuery(
            reference=options.reference,
            candidate=options.candidate,
            sources=self._parsed.sources(images, self._service.limits),
            layers=options.layers,
            measures=cast("list[Measure]", options.measures),
            match=options.match,
            rules=options.rules,
            features=options.features,
            tolerance=options.tolerance,
            seed=options.seed,
        )
        return with_edits(query, options.edit, images)

    def json(self, execution: Execution, events: Events | None = None) -> Answer:
        """The comparison as JSON."""
        return self._answer(execution, None if events is None else events.progress, "json")

    def picture(self, execution: Execution) -> Answer:
        """The comparison as a picture."""
        return self._answer(execution, None, "picture")

    def _answer(self, execution: Execution, progress: Progress | None, kind: str) -> Answer:
        began = execution.seconds

        def finish(prepared: PreparedComparison) -> ResponseBody:
            answer = self._answer_bytes(prepared.plan, kind)
            execution.end_turn()
            running = prepared.run(
                answer, cancellation=execution.cancellation, progress=progress, account=execution.account
            )
            with running as found:
                execution.add(found.timings, began)
                with execution.encoding():
                    body = self._encoded(found, kind)
                execution.account.keep(body.nbytes)
                return body

        preparation = self._service.engine.prepare_comparison(self.query())
        return answered(self._service, execution, preparation, finish)

    def _answer_bytes(self, plan: ComparisonPlan, kind: str) -> int:
        if kind == "json":
            return comparison_bytes(plan)
        return comparison_picture_bytes(plan, self._service.limits)

    def _encoded(self, found: Comparison, kind: str) -> ResponseBody:
        activations = Activations(
            {}, found.images, found.warnings, found.edits, found.seed, timings=found.timings
        )
        if kind == "json":
            return ResponseBody([comparison_json(found)], "application/json", found.reference, activations)
        form = picture_format(self._request.headers.get("accept"))
        data = render_comparison(found, self._service.limits, form)
        return encoded_picture_body(data, form, found.reference, activations)


async def _comparison(request: Request, service: Service) -> _ModelComparison:
    parsed = await read_request(request, ComparisonOptions, service.limits, service.request_pool.run)
    request_metrics(request.scope).reference = parsed.options.reference
    return _ModelComparison(service, request, parsed)


async def compare(request: Request, service: ServiceDependency) -> Response:
    """Compare two models on the same images: the change of each layer, where it begins, and whether predictions agree."""
    comparison = await _comparison(request, service)
    stream = requested_stream(request.headers.get("accept"))
    if stream is None:
        return await send(request, service, comparison.json, extra_seconds=service.attribution_seconds)
    return EventStreamResponse(request, service, comparison.json, stream, service.attribution_seconds)


async def compare_picture(request: Request, service: ServiceDependency) -> Response:
    """Draw the change of each layer between two models, or the similarity of all pairs of layers (`match=matrix`)."""
    comparison = await _comparison(request, service)
    return await send(request, service, comparison.picture, extra_seconds=service.attribution_seconds)


router.add_api_route(
    "/compare",
    compare,
    methods=["POST"],
    name="post_compare",
    response_model=ComparisonBody,
    responses=_RESPONSES,
    openapi_extra=query_and_body(ComparisonOptions),
)
router.add_api_route(
    "/compare.png",
    compare_picture,
    methods=["POST"],
    name="post_compare_picture",
    response_class=Response,
    response_model=None,
    responses={**PICTURE, **RUN_ERRORS},
    openapi_extra=query_and_body(ComparisonOptions),
)


class ImageComparison(Endpoint[ImageComparisonOptions]):
    """What each layer makes of two images."""

    options_model = ImageComparisonOptions

    def query(self) -> Query:
        """The selected layers."""
        return self.query_of(layers=self.options.layers)

    def admit(self, plan: QueryPlan) -> int:
        """Check that there are two images."""
        return image_comparison_bytes(plan)

    def make(self, result: Result) -> ResponseBody:
        """The comparison as JSON."""
        return json_body(
            image_comparison_json(result, self.options.features, self.options.changed_by), result
        )


class ImageComparisonPicture(Endpoint[ImageComparisonPictureOptions]):
    """How far two images are apart in each layer, as a picture with one row a layer."""

    options_model = ImageComparisonPictureOptions

    def query(self) -> Query:
        """The selected layers."""
        return self.query_of(layers=self.options.layers)

    def admit(self, plan: QueryPlan) -> int:
        """Check that there are two images, and that the picture is not too large."""
        return image_comparison_picture_bytes(plan, self.limits)

    def make(self, result: Result) -> ResponseBody:
        """Draw the picture."""
        form = picture_format(self.accept)
        data = render_image_comparison(result, self.options.features, self.limits, form)
        return encoded_picture_body(data, form, result.model, result.activations)


ImageComparison.register(
    router,
    "/models/{model}/compare",
    "image_comparison",
    get="Compare two stored images in every layer: cosine, relative L2, share of channels that changed.",
    post="Compare the two images in the body in every layer.",
    response_model=ImageComparisonBody,
    responses=RUN_ERRORS,
)
ImageComparisonPicture.register(
    router,
    "/models/{model}/compare.png",
    "image_comparison_picture",
    get="Draw how far two stored images are apart in each layer.",
    post="Draw how far the two images in the body are apart in each layer.",
    response_class=Response,
    response_model=None,
    responses={**PICTURE, **RUN_ERRORS},
)
