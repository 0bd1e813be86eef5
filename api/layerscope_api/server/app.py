"""The FastAPI application: its routes, its middleware and its lifespan. `layerscope serve` runs it."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.middleware.cors import CORSMiddleware
from starlette.types import Lifespan

from layerscope import __version__, demo
from layerscope.execution.interface import Engine
from layerscope.execution.local_engine import LocalEngine
from layerscope.execution.watched_layers import Watch
from layerscope.models.control import Control
from layerscope.models.mirrors import mirror_of
from layerscope.models.source_sync import Refresh, nothing_to_fetch
from layerscope.models.worker_sync import SINGLE_PROCESS
from layerscope_api.context.api_keys import Keyring
from layerscope_api.context.data_sets import catalog_of
from layerscope_api.context.image_stores import image_store_of
from layerscope_api.context.jobs import scheduled_jobs
from layerscope_api.context.kept_models import prepared_files
from layerscope_api.context.service import Lifecycle, Service, lifecycle_of
from layerscope_api.context.settings import Settings
from layerscope_api.context.shared_state import SharedState
from layerscope_api.context.worker_pool import WorkerPool
from layerscope_api.explorer import docs_pages
from layerscope_api.explorer import routes as explorer_routes
from layerscope_api.explorer.page import Page
from layerscope_api.inference_protocol.routes import INFERENCE_ROUTER
from layerscope_api.inference_protocol.routes import ROUTERS as PROTOCOL_ROUTERS
from layerscope_api.middleware.acceptable import AcceptMiddleware
from layerscope_api.middleware.authorization import AuthorizationMiddleware, scopes_of
from layerscope_api.middleware.body_limit import BodyLimitMiddleware
from layerscope_api.middleware.head import HeadMiddleware
from layerscope_api.middleware.refusals import RefusalsMiddleware
from layerscope_api.middleware.response_headers import ResponseHeadersMiddleware
from layerscope_api.middleware.route_table import RouteTable
from layerscope_api.middleware.trusted_hosts import TrustedHostsMiddleware
from layerscope_api.middleware.turns import TurnsMiddleware
from layerscope_api.middleware.unexpected_errors import UnexpectedErrorsMiddleware
from layerscope_api.observability.metrics import Metrics
from layerscope_api.observability.request_metrics import RequestMetricsMiddleware
from layerscope_api.observability.tracing import TracingMiddleware, tracing_of_environment
from layerscope_api.responses.errors import add_error_handlers
from layerscope_api.routes import ROUTERS

_DESCRIPTION = "Any layer of any registered Keras model, for any image, as a tensor or a picture."

_EXPOSED_HEADERS = [
    "ETag",
    "Retry-After",
    "Content-Disposition",
    "Server-Timing",
    "X-Request-Id",
    "X-Model",
    "X-Model-Digest",
    "X-Layer",
    "X-Value-Min",
    "X-Value-Max",
    "Inference-Header-Content-Length",
]


def create_app(
    settings: Settings | None = None,
    engine: Engine | None = None,
    shared: SharedState | None = None,
    page: Page | None = None,
) -> FastAPI:
    """The application, not yet running.

    Args:
        settings: how it is set up; read from the environment if left out.
        engine: runs the models. If left out, the application creates one for the directory in `settings.models`, loads the
            models while it starts, and closes it when it ends.
        shared: the state shared with the other processes that serve the same models.
        page: the page of the explorer; the usual one if left out.
    """
    settings = settings or Settings()
    metrics = Metrics()
    app = FastAPI(
        title="Layerscope",
        description=_DESCRIPTION,
        version=__version__,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        lifespan=_lifespan(settings, engine, metrics, shared),
        # FastAPI's own pages load scripts from a CDN; ours, in `explorer.docs_pages`, load nothing from elsewhere.
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        # A redirect is not in the contract, and behind a proxy its address may be one that clients cannot reach.
        redirect_slashes=False,
        # Traces and metrics are ours, see `observability`; FastAPI's own would look for their providers in each request.
        telemetry={"tracing": False, "metrics": False, "logs": False, "operation_spans": False},
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.lifecycle = Lifecycle()
    app.state.page = page or Page(data_sets=settings.datasets is not None)
    for router in (INFERENCE_ROUTER, *ROUTERS, docs_pages.router, explorer_routes.router, *PROTOCOL_ROUTERS):
        _summarise(router)
        app.include_router(router)
    add_error_handlers(app)
    _add_middleware(app, settings, metrics)
    return app


def _summarise(router: APIRouter) -> None:
    """Make the first sentence of each operation its summary; FastAPI would take the name of the function."""
    for route in router.routes:
        if isinstance(route, APIRoute):
            route.summary = route.summary or re.split(r"\.(?=\s|$)", route.description, maxsplit=1)[0]


def _add_middleware(app: FastAPI, settings: Settings, metrics: Metrics) -> None:
    """Add the middleware, the innermost first: a request passes the last one first."""
    limits = settings.limits
    app.add_middleware(TurnsMiddleware)
    app.add_middleware(BodyLimitMiddleware, limits=limits, allows_models=settings.allow_upload)
    app.add_middleware(AcceptMiddleware, routes=app.routes)
    if settings.api_keys is not None:
        app.add_middleware(RefusalsMiddleware, per_second=limits.refusals_per_second)
        app.add_middleware(
            AuthorizationMiddleware,
            keys=Keyring(settings.api_keys),
            route_scopes=RouteTable(app.routes, scopes_of),
            max_requests=limits.requests_per_key,
        )
    app.add_middleware(HeadMiddleware)
    app.add_middleware(
        TrustedHostsMiddleware,
        bound=settings.host,
        allowed=settings.allowed_hosts,
        origins=settings.cors_origins,
    )
    app.add_middleware(UnexpectedErrorsMiddleware)
    if settings.cors_origins:
        # Outside of all that refuses, so that pages can read why.
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "HEAD", "POST", "PUT", "DELETE"],
            allow_headers=["*"],
            expose_headers=_EXPOSED_HEADERS,
        )
    app.add_middleware(RequestMetricsMiddleware, record=metrics.served)
    app.add_middleware(ResponseHeadersMiddleware, embeddable=bool(settings.cors_origins))
    tracing = tracing_of_environment()
    if tracing is not None:
        app.add_middleware(TracingMiddleware, provider=tracing)


def local_engine(settings: Settings, shared: SharedState | None = None) -> LocalEngine:
    """An engine in this process, with no model loaded yet."""
    directory, refresh = _models(settings)
    return LocalEngine(
        directory,
        settings.limits,
        prepared_files=prepared_files(settings),
        refresh=refresh,
        worker_sync=SINGLE_PROCESS if shared is None else shared.sync,
        trusted=settings.trust_savedmodel,
        exact=settings.exact,
        graph_rewrites=settings.graph_rewrites,
        control=Control(
            mode=settings.control,
            start=settings.load,
            seconds=settings.poll_seconds,
            uploads=settings.allow_upload,
        ),
        watch=Watch(
            layers=settings.watch_layers,
            images=settings.watch_images,
            most_layers=settings.limits.watched_layers,
        ),
    )


def _models(settings: Settings) -> tuple[Path, Refresh]:
    """The directory of models, and the function that updates it."""
    if isinstance(settings.models, str):
        mirror = mirror_of(settings.models, settings.cache, settings.limits, settings.weights)
        return mirror.directory, mirror.refresh
    return settings.models or demo.MODELS, nothing_to_fetch


def _lifespan(
    settings: Settings, given: Engine | None, metrics: Metrics, shared: SharedState | None
) -> Lifespan[FastAPI]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        engine = given or local_engine(settings, shared)
        limits = settings.limits
        request_pool = WorkerPool(limits.pending_requests, limits.deadline_milliseconds / 1000)
        long_pool = WorkerPool(
            limits.long_requests,
            limits.deadline_milliseconds / 1000,
            what="long requests",
            share=max(1, limits.long_requests * limits.key_percent // 100),
        )
        admin_pool = WorkerPool(limits.pending_changes, limits.model_open_seconds)
        images, lifecycle = image_store_of(settings, shared), lifecycle_of(app)
        metrics.watch(engine, lambda: request_pool.pending, lambda: long_pool.pending)
        # FastAPI reads routes when the first request comes, on the event loop: 0.2 s in which no probe is answered.
        await asyncio.to_thread(lambda: list(iter_route_contexts(app.routes)))
        resources = ExitStack()
        exported = resources.enter_context(shared.samples(metrics)) if shared else metrics
        jobs = resources.enter_context(scheduled_jobs(settings, lambda: _models(settings)[0]))
        app.state.service = Service(
            settings,
            engine,
            images,
            request_pool,
            long_pool,
            admin_pool,
            lifecycle,
            metrics,
            exported,
            jobs,
            catalog_of(settings),
        )
        if isinstance(engine, LocalEngine) and given is None:
            await asyncio.to_thread(engine.load_all)
        try:
            yield
        finally:
            await asyncio.to_thread(admin_pool.close)
            await asyncio.to_thread(request_pool.close)
            await asyncio.to_thread(long_pool.close)
            await asyncio.to_thread(resources.close)
            if given is None:
                await asyncio.to_thread(engine.close)

    return lifespan
