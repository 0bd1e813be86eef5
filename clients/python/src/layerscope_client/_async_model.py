"""A model of the service, for the asynchronous client: the same calls as `Model`, awaited."""

import asyncio
from collections.abc import Sequence
from typing import Literal, Unpack

from layerscope_client._ablations import Ablations
from layerscope_client._activations import Activations
from layerscope_client._attribution import Attribution
from layerscope_client._comparisons import ImageComparison
from layerscope_client._descriptions import Graph, Layers, ModelDescription, NamedModelVersion
from layerscope_client._flows import Progress
from layerscope_client._images import ImageSource, ImageSources, read_images
from layerscope_client._interventions import Intervention
from layerscope_client._model_calls import ModelCalls
from layerscope_client._options import (
    AblationOptions,
    AblationPictureOptions,
    AttributionOptions,
    AttributionPictureOptions,
    Channels,
    Features,
    InspectOptions,
    InterventionOptions,
    OverlayOptions,
    PictureOptions,
    TensorOptions,
)
from layerscope_client._picture import Picture
from layerscope_client._results import Atlas, Inspection, Plan, Predictions, ReceptiveField, Statistics
from layerscope_client._transport import AsyncTransport
from layerscope_client._uploads import Uploads


class AsyncModel:
    """A model of the service, made by `AsyncClient.model`."""

    def __init__(
        self,
        name: str,
        transport: AsyncTransport,
        uploads: Uploads,
        edits: Sequence[str] = (),
        seed: int | None = None,
    ) -> None:
        self.name = name
        self.edits = tuple(edits)
        self.seed = seed
        self._transport = transport
        self._uploads = uploads
        self._calls = ModelCalls(name, uploads, edits, seed)

    def __repr__(self) -> str:
        edits = f" edited by {', '.join(self.edits)}" if self.edits else ""
        seed = f" with seed {self.seed}" if self.seed is not None else ""
        return f"<AsyncModel {self.name}{edits}{seed}>"

    def edited(self, *edits: str) -> "AsyncModel":
        """See `Model.edited`."""
        return AsyncModel(self.name, self._transport, self._uploads, (*self.edits, *edits), self.seed)

    def seeded(self, seed: int) -> "AsyncModel":
        """See `Model.seeded`."""
        return AsyncModel(self.name, self._transport, self._uploads, self.edits, seed)

    async def describe(self) -> ModelDescription:
        """See `Model.describe`."""
        return await self._transport.run(self._calls.describe())

    async def layers(self, *selectors: str) -> Layers:
        """See `Model.layers`."""
        return await self._transport.run(self._calls.layers(selectors))

    async def load(self) -> NamedModelVersion:
        """See `Model.load`."""
        return await self._transport.run(self._calls.load())

    async def unload(self) -> NamedModelVersion:
        """See `Model.unload`."""
        return await self._transport.run(self._calls.unload())

    async def remove(self) -> None:
        """See `Model.remove`."""
        await self._transport.run(self._calls.remove())

    async def set_label(self, label: str) -> dict[str, int]:
        """See `Model.set_label`."""
        return await self._transport.run(self._calls.set_label(label))

    async def remove_label(self, label: str) -> None:
        """See `Model.remove_label`."""
        await self._transport.run(self._calls.remove_label(label))

    async def graph(self) -> Graph:
        """See `Model.graph`."""
        return await self._transport.run(self._calls.graph())

    async def activations(
        self, images: ImageSources, layers: str | Sequence[str], **options: Unpack[TensorOptions]
    ) -> Activations:
        """See `Model.activations`."""
        inputs = await asyncio.to_thread(read_images, images)
        return await self._transport.run(self._calls.activations(inputs, layers, options))

    async def plan(
        self, images: "ImageSources | int", layers: str | Sequence[str], **options: Unpack[TensorOptions]
    ) -> Plan:
        """See `Model.plan`."""
        inputs = images if isinstance(images, int) else await asyncio.to_thread(read_images, images)
        return await self._transport.run(self._calls.plan(inputs, layers, options))

    async def feature_map(
        self,
        image: ImageSources,
        layer: str,
        channel: int | None = None,
        channels: Channels | None = None,
        **options: Unpack[PictureOptions],
    ) -> Picture:
        """See `Model.feature_map`."""
        inputs = await asyncio.to_thread(read_images, image)
        return await self._transport.run(self._calls.feature_map(inputs, layer, channel, channels, options))

    async def atlas(
        self,
        image: ImageSources,
        layer: str,
        channel: int | None = None,
        channels: Channels | None = None,
        **options: Unpack[PictureOptions],
    ) -> Atlas:
        """See `Model.atlas`."""
        inputs = await asyncio.to_thread(read_images, image)
        return await self._transport.run(self._calls.atlas(inputs, layer, channel, channels, options))

    async def overlay(
        self,
        image: ImageSources,
        layer: str,
        channel: int | None = None,
        **options: Unpack[OverlayOptions],
    ) -> Picture:
        """See `Model.overlay`."""
        inputs = await asyncio.to_thread(read_images, image)
        return await self._transport.run(self._calls.overlay(inputs, layer, channel, options))

    async def attribution(
        self,
        images: ImageSources,
        method: str = "gradcam",
        *,
        progress: Progress | None = None,
        **options: Unpack[AttributionOptions],
    ) -> Attribution:
        """See `Model.attribution`."""
        inputs = await asyncio.to_thread(read_images, images)
        return await self._transport.run(self._calls.attribution(inputs, method, options, progress))

    async def attribution_picture(
        self,
        image: ImageSources,
        method: str = "gradcam",
        **options: Unpack[AttributionPictureOptions],
    ) -> Picture:
        """See `Model.attribution_picture`."""
        inputs = await asyncio.to_thread(read_images, image)
        return await self._transport.run(self._calls.attribution_picture(inputs, method, options))

    async def ablations(
        self,
        images: ImageSources,
        layer: str | None = None,
        layers: str | Sequence[str] = (),
        *,
        progress: Progress | None = None,
        **options: Unpack[AblationOptions],
    ) -> Ablations:
        """See `Model.ablations`."""
        inputs = await asyncio.to_thread(read_images, images)
        return await self._transport.run(self._calls.ablations(inputs, layer, layers, options, progress))

    async def ablations_picture(
        self,
        image: ImageSources,
        layer: str | None = None,
        layers: str | Sequence[str] = (),
        **options: Unpack[AblationPictureOptions],
    ) -> Picture:
        """See `Model.ablations_picture`."""
        inputs = await asyncio.to_thread(read_images, image)
        return await self._transport.run(self._calls.ablations_picture(inputs, layer, layers, options))

    async def interventions(
        self,
        images: ImageSources,
        layers: str | Sequence[str] = (),
        **options: Unpack[InterventionOptions],
    ) -> Intervention:
        """See `Model.interventions`."""
        inputs = await asyncio.to_thread(read_images, images)
        return await self._transport.run(self._calls.interventions(inputs, layers, options))

    async def statistics(
        self,
        images: ImageSources,
        layers: str | Sequence[str] = "all",
        bins: int = 32,
        histograms: Literal["layer", "channel", "none"] = "layer",
        positions: bool = False,
    ) -> Statistics:
        """See `Model.statistics`."""
        inputs = await asyncio.to_thread(read_images, images)
        options = {"bins": bins, "histograms": histograms, "positions": positions}
        return await self._transport.run(self._calls.statistics(inputs, layers, options))

    async def statistics_picture(self, images: ImageSources, layers: str | Sequence[str] = "all") -> Picture:
        """See `Model.statistics_picture`."""
        inputs = await asyncio.to_thread(read_images, images)
        return await self._transport.run(self._calls.statistics_picture(inputs, layers))

    async def compare(
        self,
        images: ImageSources,
        layers: str | Sequence[str] = "all",
        changed_by: float = 0.1,
        features: Features = "flat",
    ) -> ImageComparison:
        """See `Model.compare`."""
        inputs = await asyncio.to_thread(read_images, images)
        return await self._transport.run(self._calls.compare(inputs, layers, changed_by, features))

    async def comparison_picture(
        self,
        images: ImageSources,
        layers: str | Sequence[str] = "all",
        features: Features = "flat",
    ) -> Picture:
        """See `Model.comparison_picture`."""
        inputs = await asyncio.to_thread(read_images, images)
        return await self._transport.run(self._calls.comparison_picture(inputs, layers, features))

    async def predictions(self, images: ImageSources, top: int = 5) -> Predictions:
        """See `Model.predictions`."""
        inputs = await asyncio.to_thread(read_images, images)
        return await self._transport.run(self._calls.predictions(inputs, top))

    async def inspect(
        self,
        images: ImageSources,
        layers: str | Sequence[str] = "all",
        top: int = 5,
        **options: Unpack[InspectOptions],
    ) -> Inspection:
        """See `Model.inspect`."""
        inputs = await asyncio.to_thread(read_images, images)
        return await self._transport.run(self._calls.inspect(inputs, layers, {"top": top, **options}))

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
        inputs = None if image is None else await asyncio.to_thread(read_images, image)
        return await self._transport.run(self._calls.receptive_field(layer, {"z": z, "y": y, "x": x}, inputs))
