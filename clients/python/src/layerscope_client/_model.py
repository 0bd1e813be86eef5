"""A model of the service, for the blocking client."""

from collections.abc import Sequence
from typing import Literal, Unpack

from layerscope_client._ablations import Ablations
from layerscope_client._activations import Activations
from layerscope_client._attribution import Attribution
from layerscope_client._comparisons import ImageComparison
from layerscope_client._described_model import DescribedModel
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
from layerscope_client._transport import Transport
from layerscope_client._uploads import Uploads


class Model(DescribedModel):
    """A model of the service, made by `Client.model`. Every call uses the version that the name stands for at that time.

    Raises:
        LayerscopeError: Every call, see `Client`.
        OSError, TypeError, ValueError: Calls with images, if an image cannot be read or sent.
    """

    def __init__(
        self,
        name: str,
        transport: Transport,
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
        return f"<Model {self.name}{edits}{seed}>"

    def edited(self, *edits: str) -> "Model":
        """Return the model with values inside it changed: every call then answers about the edited model.

        Nothing is sent, and other callers see no change. Edits of this model stay in force beside the new ones.

        Args:
            *edits: Such as "conv2;channels=3,5-8;set=0": a selector of layers, then `channels`, `region`, and `set`, `patch`, or
                any of `scale`, `add`, `low` and `high`, separated by semicolons.
        """
        return Model(self.name, self._transport, self._uploads, (*self.edits, *edits), self.seed)

    def seeded(self, seed: int) -> "Model":
        """Return the model with a seed for the random numbers that it draws, and for those of SmoothGrad.

        Nothing is sent. The same seed gives the same numbers; without this method, it is 0. Models that draw any name it.

        Args:
            seed: From 0 to 4294967295.
        """
        return Model(self.name, self._transport, self._uploads, self.edits, seed)

    def activations(
        self, images: ImageSources, layers: str | Sequence[str], **options: Unpack[TensorOptions]
    ) -> Activations:
        """Compute the values of layers for a batch of images.

        Args:
            images: An image or a list of images; for a model with several inputs, either of them by the name of each
                input. Floating-point arrays and ids of tokens are tensors and are not preprocessed. For a model with
                a tokenizer, a `Text` or `Tokens`, or a list of them.
            layers: One selector or several.
            **options: See `TensorOptions`.

        Returns:
            The arrays by layer address, bit exact unless options say otherwise.
        """
        return self._transport.run(self._calls.activations(read_images(images), layers, options))

    def plan(
        self, images: "ImageSources | int", layers: str | Sequence[str], **options: Unpack[TensorOptions]
    ) -> Plan:
        """Return the shapes, bytes and memory that `activations` would have, and whether it would be refused.

        The model is not run.

        Args:
            images: As for `activations`; or only their number, if the model takes images of one size.
            layers: One selector or several.
            **options: See `TensorOptions`.
        """
        inputs = images if isinstance(images, int) else read_images(images)
        return self._transport.run(self._calls.plan(inputs, layers, options))

    def feature_map(
        self,
        image: ImageSources,
        layer: str,
        channel: int | None = None,
        channels: Channels | None = None,
        **options: Unpack[PictureOptions],
    ) -> Picture:
        """Draw one channel of a layer, or a grid of several channels.

        Args:
            image: An image; for a model with several inputs, one image by the name of each input.
            layer: The address of a layer; or several addresses, separated by commas, drawn one below the other.
            channel: The number of one channel, instead of `channels`.
            channels: Several channels, such as [0, 3], "0,3,8-15", "top:16" or "all".
            **options: See `PictureOptions`.
        """
        flow = self._calls.feature_map(read_images(image), layer, channel, channels, options)
        return self._transport.run(flow)

    def atlas(
        self,
        image: ImageSources,
        layer: str,
        channel: int | None = None,
        channels: Channels | None = None,
        **options: Unpack[PictureOptions],
    ) -> Atlas:
        """Return the sprite atlas: position and range of every tile of the picture of `feature_map` with the same arguments."""
        return self._transport.run(self._calls.atlas(read_images(image), layer, channel, channels, options))

    def overlay(
        self,
        image: ImageSources,
        layer: str,
        channel: int | None = None,
        **options: Unpack[OverlayOptions],
    ) -> Picture:
        """Draw one channel of a layer over the image.

        Args:
            image: An image; for a model with several inputs, one image by the name of each input.
            layer: The address of a layer whose values have rows and columns.
            channel: The number of the channel; by default the mean magnitude of all channels.
            **options: See `OverlayOptions`.
        """
        return self._transport.run(self._calls.overlay(read_images(image), layer, channel, options))

    def attribution(
        self,
        images: ImageSources,
        method: str = "gradcam",
        *,
        progress: Progress | None = None,
        **options: Unpack[AttributionOptions],
    ) -> Attribution:
        """Compute heat maps of the parts of images that an output depends on.

        Args:
            images: An image or a list of them; for several inputs, either by the name of each input.
            method: One of `Client.attribution_methods`.
            progress: A callback that gets the number of finished runs and their total while the service works. Methods
                that run the model often may then take longer than the timeout. An exception of the callback stops them.
            **options: See `AttributionOptions`.
        """
        return self._transport.run(self._calls.attribution(read_images(images), method, options, progress))

    def attribution_picture(
        self,
        image: ImageSources,
        method: str = "gradcam",
        **options: Unpack[AttributionPictureOptions],
    ) -> Picture:
        """Draw a heat map over the image.

        Args:
            image: An image; for a model with several inputs, one image by the name of each input.
            method: One of `Client.attribution_methods`.
            **options: See `AttributionPictureOptions`.
        """
        return self._transport.run(self._calls.attribution_picture(read_images(image), method, options))

    def ablations(
        self,
        images: ImageSources,
        layer: str | None = None,
        layers: str | Sequence[str] = (),
        *,
        progress: Progress | None = None,
        **options: Unpack[AblationOptions],
    ) -> Ablations:
        """Take the units of a layer away, one at a time, and measure what the target loses.

        Args:
            images: An image or a list of them; for several inputs, either by the name of each input.
            layer: A selector of exactly one layer: its channels are taken away, or its places.
            layers: Selectors of layers that are taken away whole, instead of `layer`.
            progress: A callback that gets the number of finished runs and their total while the service works. The sweep may
                then take longer than the timeout. An exception of the callback stops it.
            **options: See `AblationOptions`.
        """
        flow = self._calls.ablations(read_images(images), layer, layers, options, progress)
        return self._transport.run(flow)

    def ablations_picture(
        self,
        image: ImageSources,
        layer: str | None = None,
        layers: str | Sequence[str] = (),
        **options: Unpack[AblationPictureOptions],
    ) -> Picture:
        """Draw the effects as bars, or those of places as a grid over the image.

        Args:
            image: An image; for a model with several inputs, one image by the name of each input.
            layer: As for `ablations`.
            layers: As for `ablations`.
            **options: See `AblationPictureOptions`.
        """
        return self._transport.run(self._calls.ablations_picture(read_images(image), layer, layers, options))

    def interventions(
        self,
        images: ImageSources,
        layers: str | Sequence[str] = (),
        **options: Unpack[InterventionOptions],
    ) -> Intervention:
        """Summarize what the edits of this model do: outputs before and after, what a target loses, the change of each layer.

        Args:
            images: As for `activations`.
            layers: The layers that are compared; by default those that the edits change, at most 64.
            **options: See `InterventionOptions`.
        """
        return self._transport.run(self._calls.interventions(read_images(images), layers, options))

    def statistics(
        self,
        images: ImageSources,
        layers: str | Sequence[str] = "all",
        bins: int = 32,
        histograms: Literal["layer", "channel", "none"] = "layer",
        positions: bool = False,
    ) -> Statistics:
        """Compute statistics and histograms of layers and of their channels, over all images together.

        Args:
            images: As for `activations`.
            layers: One selector or several.
            bins: Number of bins of each histogram.
            histograms: "layer" for one of each layer, "channel" for those of channels, too, or "none".
            positions: Whether to give the figures of each token or time step, too.
        """
        options = {"bins": bins, "histograms": histograms, "positions": positions}
        return self._transport.run(self._calls.statistics(read_images(images), layers, options))

    def statistics_picture(self, images: ImageSources, layers: str | Sequence[str] = "all") -> Picture:
        """Draw one row per layer: the histogram of its values, its share of zeros, its dead and saturated channels."""
        return self._transport.run(self._calls.statistics_picture(read_images(images), layers))

    def compare(
        self,
        images: ImageSources,
        layers: str | Sequence[str] = "all",
        changed_by: float = 0.1,
        features: Features = "flat",
    ) -> ImageComparison:
        """Compare two images in every layer: relative L2, cosine, and the share of channels that changed.

        Args:
            images: Two images, or a tensor of two; for a model with several inputs, two by the name of each.
            layers: One selector or several.
            changed_by: The relative L2 from which on a channel counts as changed.
            features: "flat" for all values place by place; "mean" of each channel, of texts over tokens that are no padding.
        """
        return self._transport.run(self._calls.compare(read_images(images), layers, changed_by, features))

    def comparison_picture(
        self, images: ImageSources, layers: str | Sequence[str] = "all", features: Features = "flat"
    ) -> Picture:
        """Draw how far two images are apart in each layer."""
        return self._transport.run(self._calls.comparison_picture(read_images(images), layers, features))

    def predictions(self, images: ImageSources, top: int = 5) -> Predictions:
        """Compute the `top` best classes of every output for each image."""
        return self._transport.run(self._calls.predictions(read_images(images), top))

    def inspect(
        self,
        images: ImageSources,
        layers: str | Sequence[str] = "all",
        top: int = 5,
        **options: Unpack[InspectOptions],
    ) -> Inspection:
        """Run the model once, and return predictions, statistics, and links to pictures and tensors.

        The values for the linked resources are computed by the same run. There are no links for tensors and for models with
        several inputs.

        Args:
            images: An image or a list of images; for a model with several inputs, either by the name of each input.
            layers: One selector or several.
            top: Number of classes per output.
            **options: See `InspectOptions`.
        """
        flow = self._calls.inspect(read_images(images), layers, {"top": top, **options})
        return self._transport.run(flow)

    def picture(self, link: str) -> Picture:
        """Fetch the picture of a link of `inspect`.

        Raises:
            ValueError: The text is no link of the service.
        """
        return self._transport.run(self._calls.picture(link))

    def receptive_field(
        self,
        layer: str,
        y: int | None = None,
        x: int | None = None,
        *,
        z: int | None = None,
        image: "ImageSource | None" = None,
    ) -> ReceptiveField:
        """Compute the receptive field of a unit: the part of each input that it depends on. The model is not run.

        Args:
            layer: The address of the layer.
            y: The row of the unit; by default the middle one.
            x: The column of the unit, or the step of a sequence; by default the middle one.
            z: The slice of the unit, in maps with three spatial axes.
            image: An image, if the model takes images of any size.
        """
        inputs = None if image is None else read_images(image)
        return self._transport.run(self._calls.receptive_field(layer, {"z": z, "y": y, "x": x}, inputs))
