"""Endpoints: resources of a model that a query computes, by GET for stored images and by POST for images in the body."""

from abc import ABC
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, Generic, TypeVar, cast

from fastapi import APIRouter, Request, Response

from layerscope.attribution import MethodOptions
from layerscope.execution.inputs import Sources
from layerscope.execution.interface import Query
from layerscope.extraction.catalog import NamedImages
from layerscope.limits import Limits
from layerscope_api.context.account import account_of
from layerscope_api.context.service import ModelReference, Service, ServiceDependency
from layerscope_api.requests.body import ParsedRequest, read_request
from layerscope_api.requests.edits import with_edits
from layerscope_api.responses.query_handler import QueryHandler
from layerscope_api.responses.respond import respond
from layerscope_api.schemas.openapi import NOT_MODIFIED, Responses, query_and_body, query_parameters
from layerscope_api.schemas.options import ChangeOptions, ImageOptions, RunOptions

Options = TypeVar("Options", bound=RunOptions)


class Endpoint(QueryHandler, ABC, Generic[Options]):
    """A resource of a model that a query computes. One instance answers one request.

    A subclass names the model of its options and implements `query`, `admit` and `make`; `register` adds it to a router.

    Attributes:
        options_model: the model of the options.
        service: the engine, the stored images and the limits.
        model: the model as the caller wrote it.
        request: the HTTP request, whose body has been read.
        options: the options of the request.
    """

    options_model: ClassVar[type[RunOptions]]

    def __init__(
        self, service: Service, model: str, request: Request, parsed: ParsedRequest[Options]
    ) -> None:
        self.service = service
        self.model = model
        self.request = request
        self.options = parsed.options
        self._parsed = parsed

    @property
    def limits(self) -> Limits:
        """The limits in force."""
        return self.service.limits

    @property
    def accept(self) -> str | None:
        """The Accept header."""
        return self.request.headers.get("accept")

    @property
    def extra_seconds(self) -> float:
        """The seconds that the answer may take beyond the deadline of every request."""
        return 0.0

    @cached_property
    def images(self) -> NamedImages:
        """Fetches the images that the request names."""
        return self.service.named_images(account_of(self.request.scope))

    @cached_property
    def sources(self) -> Sources:
        """The images and tensors of the request. The first access blocks, so use it in the three steps only."""
        return self._parsed.sources(self.images, self.limits)

    def query_of(
        self, layers: Sequence[str] = (), methods: Mapping[str, MethodOptions] | None = None
    ) -> Query:
        """The query for layers and attributions of the images of the request, under its edits and with its seed. It blocks."""
        query = Query(
            model=self.model,
            sources=self.sources,
            layers=layers,
            methods=methods or {},
            change=isinstance(self.options, ChangeOptions) and self.options.change,
            seed=self.options.seed,
        )
        return with_edits(query, self.options.edit, self.images)

    async def respond(self) -> Response:
        """Answer the request: 304 if the client's copy is still valid, else with what `make` returns."""
        return await respond(
            self.request,
            self.service,
            self.model,
            self._parsed,
            lambda execution: self.handle(self.service, execution),
            self.extra_seconds - self._parsed.spent,
        )

    @classmethod
    def request_options(cls, request: Request) -> type[ImageOptions]:  # noqa: ARG003 - for subclasses
        """The model of the options of one request."""
        return cls.options_model

    @classmethod
    def documented_options(cls) -> type[ImageOptions]:
        """The model of the options as the OpenAPI document has them."""
        return cls.options_model

    @classmethod
    def register(
        cls,
        router: APIRouter,
        path: str,
        name: str,
        *,
        get: str | None,
        post: str,
        responses: Responses,
        path_parameters: Sequence[dict[str, Any]] = (),
        **route: Any,
    ) -> None:
        """Add the resource to a router.

        Args:
            router: declares the scope and the tag.
            path: where the resource is; it contains `{model}`.
            name: the name of the operations, behind `get_` and `post_`.
            get: the description of the operation for stored images; None if there is no such operation.
            post: the description of the operation for images in the body.
            responses: the documented responses of both.
            path_parameters: the documented parameters of the path besides `{model}`.
            route: further arguments of `APIRouter.add_api_route`.
        """

        async def handler(model: ModelReference, request: Request, service: ServiceDependency) -> Response:
            parsed = await read_request(
                request, cls.request_options(request), service.limits, service.request_pool.run
            )
            return await cls(service, model, request, cast("ParsedRequest[Options]", parsed)).respond()

        def add(method: str, description: str, documented: Responses, extra: dict[str, Any]) -> None:
            router.add_api_route(
                path,
                handler,
                methods=[method],
                name=f"{method.lower()}_{name}",
                description=description,
                responses=documented,
                openapi_extra={**extra, "parameters": [*path_parameters, *extra["parameters"]]},
                **route,
            )

        options = cls.documented_options()
        if get is not None:
            add("GET", get, {**responses, **NOT_MODIFIED}, query_parameters(options))
        add("POST", post, responses, query_and_body(options))
