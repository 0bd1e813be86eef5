"""The asynchronous client: the same calls as `Client`, awaited."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, Unpack

import httpx2

from layerscope_client import _job_calls
from layerscope_client._async_data_sets import AsyncDataSets
from layerscope_client._async_job import AsyncJob
from layerscope_client._async_model import AsyncModel
from layerscope_client._attribution import AttributionMethod
from layerscope_client._comparisons import Comparison, ComparisonCalls, ComparisonOptions
from layerscope_client._descriptions import AddedModel, Limit, ModelSummary
from layerscope_client._flows import Progress
from layerscope_client._images import ImageSource, ImageSources, read_image, read_images
from layerscope_client._job_calls import ExtractOptions
from layerscope_client._picture import Picture
from layerscope_client._results import StoredImage
from layerscope_client._service_calls import ServiceCalls
from layerscope_client._transport import DEFAULT_BASE_URL, AsyncTransport, Policy
from layerscope_client._uploads import Uploads


class AsyncClient:
    """A Layerscope service, awaited, on asyncio. Arguments and errors are those of `Client`.

    Files are read and arrays are encoded in a thread, so that they do not block the event loop.
    """

    def __init__(
        self,
        base_url: str = DEFAULT_BASE_URL,
        *,
        api_key: str | None = None,
        timeout: float = 30.0,
        retries: int = 3,
        http: httpx2.AsyncClient | None = None,
    ) -> None:
        self._http = httpx2.AsyncClient(base_url=base_url, timeout=timeout) if http is None else http
        self._owns_http = http is None
        self._transport = AsyncTransport(self._http, Policy(api_key, retries))
        self._uploads = Uploads()
        self._calls = ServiceCalls(self._uploads)
        self._comparisons = ComparisonCalls(self._uploads)
        self._data_sets = AsyncDataSets(self._transport)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections. A client that was passed in stays open."""
        if self._owns_http:
            await self._http.aclose()

    def model(self, name: str) -> AsyncModel:
        """See `Client.model`. No request is sent, so that there is nothing to await."""
        return AsyncModel(name, self._transport, self._uploads)

    async def models(self) -> list[ModelSummary]:
        """See `Client.models`."""
        return await self._transport.run(self._calls.models())

    @property
    def datasets(self) -> AsyncDataSets:
        """See `Client.datasets`."""
        return self._data_sets

    async def limits(self) -> list[Limit]:
        """See `Client.limits`."""
        return await self._transport.run(self._calls.limits())

    async def colormaps(self) -> list[str]:
        """See `Client.colormaps`."""
        return await self._transport.run(self._calls.colormaps())

    async def attribution_methods(self) -> list[AttributionMethod]:
        """See `Client.attribution_methods`."""
        return await self._transport.run(self._calls.attribution_methods())

    async def version(self) -> dict[str, str]:
        """See `Client.version`."""
        return await self._transport.run(self._calls.version())

    async def compare(
        self,
        reference: str,
        candidate: str,
        images: ImageSources,
        progress: Progress | None = None,
        **options: Unpack[ComparisonOptions],
    ) -> Comparison:
        """See `Client.compare`."""
        inputs = await asyncio.to_thread(read_images, images)
        flow = self._comparisons.compare(inputs, (reference, candidate), options, progress)
        return await self._transport.run(flow)

    async def comparison_picture(
        self, reference: str, candidate: str, images: ImageSources, **options: Unpack[ComparisonOptions]
    ) -> Picture:
        """See `Client.comparison_picture`."""
        inputs = await asyncio.to_thread(read_images, images)
        return await self._transport.run(self._comparisons.picture(inputs, (reference, candidate), options))

    async def add_model(
        self,
        file: str | Path,
        name: str,
        declaration: Mapping[str, object] | None = None,
        *,
        load: bool = True,
    ) -> AddedModel:
        """See `Client.add_model`."""
        return await self._transport.run(self._calls.add_model(Path(file), name, declaration, load=load))

    async def extract(
        self,
        model: str,
        layers: str | Sequence[str],
        *,
        data: str,
        to: str,
        **options: Unpack[ExtractOptions],
    ) -> AsyncJob:
        """See `Client.extract`."""
        description = await self._transport.run(_job_calls.start(model, layers, data, to, options))
        return AsyncJob(description, self._transport)

    async def jobs(self) -> list[AsyncJob]:
        """See `Client.jobs`."""
        return [AsyncJob(each, self._transport) for each in await self._transport.run(_job_calls.listed())]

    async def job(self, job_id: str) -> AsyncJob:
        """See `Client.job`."""
        return AsyncJob(await self._transport.run(_job_calls.described(job_id)), self._transport)

    async def upload(self, image: ImageSource) -> StoredImage:
        """See `Client.upload`."""
        return await self._transport.run(self._calls.upload(await asyncio.to_thread(read_image, image)))

    async def thumbnail(self, image: StoredImage | str, side: int = 128) -> bytes:
        """See `Client.thumbnail`."""
        return await self._transport.run(self._calls.thumbnail(image, side))

    async def forget(self, image: StoredImage | str) -> None:
        """See `Client.forget`."""
        await self._transport.run(self._calls.forget(image))
