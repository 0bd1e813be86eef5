"""The awaiting client: `Client` and `Model` again, word for word but for `await`."""

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Literal, Self, Unpack

import httpx2

from layerscope_client._activations import Activations
from layerscope_client._answers import (
    Atlas,
    Graph,
    Inspection,
    Layers,
    Limit,
    ModelDescription,
    ModelSummary,
    Plan,
    Predictions,
    ReceptiveField,
    Statistics,
    StoredImage,
)
from layerscope_client._calls import ModelCalls, ServiceCalls
from layerscope_client._images import ImageSource, ImageSources, read_image, read_images
from layerscope_client._options import Channels, InspectOptions, OverlayOptions, PictureOptions, TensorOptions
from layerscope_client._picture import Picture
from layerscope_client._transport import DEFAULT_BASE_URL, AsyncTransport, Policy
from layerscope_client._uploads import Uploads


class AsyncClient:
    """A Layerscope service, awaited, on asyncio. Arguments and errors are those of `Client`.

    Files are read and arrays encoded in a thread, so that the event loop goes on.
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

    def model(self, name: str) -> "AsyncModel":
        """Name a model, as `Client.model` does: without a request, so there is nothing to await."""
        return AsyncModel(name, self._transport, self._uploads)

    async def models(self) -> list[ModelSummary]:
        """See `Client.models`."""
        return await self._transport.run(self._calls.models())

    async def limits(self) -> list[Limit]:
        """See `Client.limits`."""
        return await self._transport.run(self._calls.limits())

    async def version(self) -> dict[str, str]:
        """See `Client.version`."""
        return await self._transport.run(self._calls.version())

    async def upload(self, image: ImageSource) -> StoredImage:
        """See `Client.upload`."""
        return await self._transport.run(self._calls.upload(await asyncio.to_thread(read_image, image)))

    async def forget(self, image: StoredImage | str) -> None:
        """See `Client.forget`."""
        await self._transport.run(self._calls.forget(image))


class AsyncModel:
    """A model of the service, made by `AsyncClient.model`."""

    def __init__(self, name: str, transport: AsyncTransport, uploads: Uploads) -> None:
        self.name = name
        self._transport = transport
        self._calls = ModelCalls(name, uploads)

    def __repr__(self) -> str:
        return f"<AsyncModel {self.name}>"

    async def describe(self) -> ModelDescription:
        """See `Model.describe`."""
        return await self._transport.run(self._calls.describe())

    async def layers(self, *selectors: str) -> Layers:
        """See `Model.layers`."""
        return await self._transport.run(self._calls.layers(selectors))

    async def graph(self) -> Graph:
        """See `Model.graph`."""
        return await self._transport.run(self._calls.graph())

    async def activations(
        self, images: ImageSources, layers: str | Sequence[str], **options: Unpack[TensorOptions]
    ) -> Activations:
        """See `Model.activations`."""
        material = await asyncio.to_thread(read_images, images)
        return await self._transport.run(self._calls.activations(material, layers, options))

    async def plan(
        self, images: "ImageSources | int", layers: str | Sequence[str], **options: Unpack[TensorOptions]
    ) -> Plan:
        """See `Model.plan`."""
        material = images if isinstance(images, int) else await asyncio.to_thread(read_images, images)
        return await self._transport.run(self._calls.plan(material, layers, options))

    async def feature_map(
        self,
        image: ImageSources,
        layer: str,
        channel: int | None = None,
        channels: Channels | None = None,
        **options: Unpack[PictureOptions],
    ) -> Picture:
        """See `Model.feature_map`."""
        material = await asyncio.to_thread(read_images, image)
        return await self._transport.run(self._calls.feature_map(material, layer, channel, channels, options))

    async def atlas(
        self,
        image: ImageSources,
        layer: str,
        channel: int | None = None,
        channels: Channels | None = None,
        **options: Unpack[PictureOptions],
    ) -> Atlas:
        """See `Model.atlas`."""
        material = await asyncio.to_thread(read_images, image)
        return await self._transport.run(self._calls.atlas(material, layer, channel, channels, options))

    async def overlay(
        self,
        image: ImageSources,
        layer: str,
        channel: int | None = None,
        **options: Unpack[OverlayOptions],
    ) -> Picture:
        """See `Model.overlay`."""
        material = await asyncio.to_thread(read_images, image)
        return await self._transport.run(self._calls.overlay(material, layer, channel, options))

    async def statistics(
        self,
        images: ImageSources,
        layers: str | Sequence[str] = "all",
        bins: int = 32,
        histograms: Literal["layer", "channel", "none"] = "layer",
    ) -> Statistics:
        """See `Model.statistics`."""
        material = await asyncio.to_thread(read_images, images)
        options = {"bins": bins, "histograms": histograms}
        return await self._transport.run(self._calls.statistics(material, layers, options))

    async def statistics_picture(self, images: ImageSources, layers: str | Sequence[str] = "all") -> Picture:
        """See `Model.statistics_picture`."""
        material = await asyncio.to_thread(read_images, images)
        return await self._transport.run(self._calls.statistics_picture(material, layers))

    async def predictions(self, images: ImageSources, top: int = 5) -> Predictions:
        """See `Model.predictions`."""
        material = await asyncio.to_thread(read_images, images)
        return await self._transport.run(self._calls.predictions(material, top))

    async def inspect(
        self,
        images: ImageSources,
        layers: str | Sequence[str] = "all",
        top: int = 5,
        **options: Unpack[InspectOptions],
    ) -> Inspection:
        """See `Model.inspect`."""
        material = await asyncio.to_thread(read_images, images)
        return await self._transport.run(self._calls.inspect(material, layers, {"top": top, **options}))

    async def picture(self, link: str) -> Picture:
        """See `Model.picture`."""
        return await self._transport.run(self._calls.picture(link))

    async def receptive_field(
        self,
        layer: str,
        y: int | None = None,
        x: int | None = None,
        *,
        z: int | None = None,
        image: "ImageSource | None" = None,
    ) -> ReceptiveField:
        """See `Model.receptive_field`."""
        material = None if image is None else await asyncio.to_thread(read_images, image)
        return await self._transport.run(
            self._calls.receptive_field(layer, {"z": z, "y": y, "x": x}, material)
        )
