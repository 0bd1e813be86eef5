"""The service as every route gets it: the engine, the stored images and the worker pools, made once at the start."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, TypeVar

from fastapi import Depends, FastAPI, Path, Request

from layerscope.errors import ControlRefused
from layerscope.execution.admission import require_workable
from layerscope.execution.inputs import ImageSource
from layerscope.execution.interface import Engine
from layerscope.execution.loading_memory import decoding_bytes
from layerscope.execution.working_memory import Account
from layerscope.extraction.catalog import DataSetCatalog, NamedImages, required
from layerscope.images import ImageStore
from layerscope.jobs.store import JobStore
from layerscope.limits import Limits
from layerscope_api.context.places import Places
from layerscope_api.context.settings import Settings
from layerscope_api.context.worker_pool import WorkerPool
from layerscope_api.observability.metrics import Metrics, MetricsSource

Result = TypeVar("Result")


@dataclass
class Lifecycle:
    """The state between the start and the end of the process.

    Attributes:
        is_draining: the process has received SIGTERM: its readiness probe answers 503, so that no new requests come.
    """

    is_draining: bool = False


@dataclass(frozen=True)
class Service:
    """All that routes need.

    Attributes:
        settings: how the service is set up.
        engine: runs the models.
        images: the stored images.
        request_pool: the threads in which requests are computed, but for the runs of long ones.
        long_pool: the threads in which these go on, one for each. All they wait for takes no thread from other requests.
        admin_pool: the threads in which models are loaded, unloaded, added and removed. Apart from those of requests, so
            that a model that takes a minute to load takes no thread from them.
        lifecycle: whether the process is about to end.
        metrics: the metrics of this process.
        exported_metrics: the metrics of all processes of the service, as `/metrics` answers them.
        jobs: the jobs; None if it does none.
        data_sets: the registered data sets; None if it keeps none.
    """

    settings: Settings
    engine: Engine
    images: ImageStore
    request_pool: WorkerPool
    long_pool: WorkerPool
    admin_pool: WorkerPool
    lifecycle: Lifecycle
    metrics: Metrics
    exported_metrics: MetricsSource
    jobs: JobStore | None = None
    data_sets: DataSetCatalog | None = None

    @property
    def places(self) -> Places:
        """What requests can name of this machine."""
        return Places(self.settings.places, self.settings.writable_places)

    @property
    def required_jobs(self) -> JobStore:
        """The jobs.

        Raises:
            ControlRefused: the service was started without a folder for them.
        """
        if self.jobs is None:
            raise ControlRefused(
                "This service does no jobs: an operator must name a folder for them (LAYERSCOPE_JOBS)."
            )
        return self.jobs

    @property
    def limits(self) -> Limits:
        """The bounds in force."""
        return self.settings.limits

    @property
    def catalog(self) -> DataSetCatalog:
        """The registered data sets.

        Raises:
            ControlRefused: the service keeps none.
        """
        return required(self.data_sets)

    def named_images(self, account: Account) -> NamedImages:
        """Fetches the images that one request names, and counts those of data sets in its account."""
        return NamedImages(self.images, self.data_sets, account, self.limits)

    @contextmanager
    def decoding(self, data: bytes, account: Account) -> Iterator[None]:
        """Hold the memory that decoding an image takes until the context ends. It blocks: enter it in a worker thread.

        Raises:
            AnswerTooLarge: there is not so much.
            MemoryBusy, QuotaExceeded: other requests, or those of the same key, have it, and went on for too long.
            LayerscopeError: the image's header cannot be read.
        """
        size = decoding_bytes(ImageSource(data), self.limits)
        require_workable(size, self.limits)
        with self.engine.memory.reserved(size, self.limits.deadline_milliseconds / 1000, account.owner):
            yield

    async def computed(
        self, compute: Callable[[], Result | Future[Result]], extra_seconds: float = 0.0
    ) -> Result:
        """Call a function in a thread of `request_pool`, and wait for what it returns or has begun in `long_pool`.

        Args:
            compute: may block.
            extra_seconds: the time that all may take beyond the deadline of every request.

        Raises:
            DeadlineExceeded: it took longer.
            LayerscopeError: whatever `compute` raises.
        """
        began = time.monotonic()
        found = await self.request_pool.run(compute, extra_seconds)
        if not isinstance(found, Future):
            return found
        seconds = self.limits.deadline_milliseconds / 1000 + extra_seconds
        return await self.long_pool.result(found, seconds, time.monotonic() - began)

    @property
    def attribution_seconds(self) -> float:
        """The seconds that an attribution may take beyond the deadline of every request."""
        return self.limits.attribution_milliseconds / 1000

    @property
    def is_ready(self) -> bool:
        """Whether new requests are welcome: all models are loaded or have failed, and the process is not about to end."""
        return self.engine.is_ready and not self.lifecycle.is_draining


async def _service(request: Request) -> Service:
    """The service of the application. Async because FastAPI calls dependencies that are not in a thread."""
    service: Service = request.app.state.service
    return service


ServiceDependency = Annotated[Service, Depends(_service)]

ModelReference = Annotated[str, Path(description="`name`, `name@version` or `name@label`", max_length=200)]


def lifecycle_of(app: FastAPI) -> Lifecycle:
    """The lifecycle of an application that `create_app` has made."""
    lifecycle: Lifecycle = app.state.lifecycle
    return lifecycle
