"""A model of the service, for the blocking client."""

from collections.abc import Sequence
from typing import Literal, Unpack

from layerscope_client._activations import Activations
from layerscope_client._answers import Atlas, Inspection, Plan, Predictions, ReceptiveField, Statistics
from layerscope_client._attribution import Attribution
from layerscope_client._calls import ModelCalls
from layerscope_client._descriptions import Graph, Layers, ModelDescription, NamedModelVersion
from layerscope_client._exchange import Progress
from layerscope_client._images import ImageSource, ImageSources, read_images
from layerscope_client._options import (
    AttributionOptions,
    AttributionPictureOptions,
    Channels,
    InspectOptions,
    OverlayOptions,
    PictureOptions,
    TensorOptions,
)
from layerscope_client._picture import Picture
from layerscope_client._transport import Transport
from layerscope_client._uploads import Uploads


class Model:
    """A model of the service, made by `Client.model`. Every call runs the version its name stands for then."""

    def __init__(self, name: str, transport: Transport, uploads: Uploads) -> None:
        self.name = name
        self._transport = transport
        self._calls = ModelCalls(name, uploads)

    def __repr__(self) -> str:
        return f"<Model {self.name}>"

    def describe(self) -> ModelDescription:
        """Return inputs, outputs, preprocessing, class names, parameters and memory of the model."""
        return self._transport.run(self._calls.describe())

    def layers(self, *selectors: str) -> Layers:
        """List the layers that match any selector, such as "conv*" or "type:Conv2D"; without any, all."""
        return self._transport.run(self._calls.layers(selectors))

    def load(self) -> NamedModelVersion:
        """Load the version as its files are now, in place of itself too; of a plain name the highest there is.

        Raises:
            ControlRefused: The service takes no such orders: it must run with `--control explicit`.
            ModelRefused: It cannot be loaded, and why.
        """
        return self._transport.run(self._calls.load())

    def unload(self) -> NamedModelVersion:
        """Take the version out of memory: now, or when the last request that uses it has ended.

        Raises:
            ControlRefused: The service takes no such orders: it must run with `--control explicit`.
        """
        return self._transport.run(self._calls.unload())

    def remove(self) -> None:
        """Remove the version, which was sent, from memory and from the disk. The model is named as name@version.

        Raises:
            ControlRefused: The service takes no models, or somebody put this one there by hand.
        """
        self._transport.run(self._calls.remove())

    def set_label(self, label: str) -> dict[str, int]:
        """Let a label point at this version, which must be loaded, and return all labels of the model.

        Raises:
            ControlRefused: The service takes no such orders.
        """
        return self._transport.run(self._calls.set_label(label))

    def remove_label(self, label: str) -> None:
        """Let a label point at nothing. The model is given by its plain name.

        Raises:
            ControlRefused: The service takes no such orders.
            ModelNotFound: There is no such label.
        """
        self._transport.run(self._calls.remove_label(label))

    def graph(self) -> Graph:
        """Return nodes, edges and nested groups, for drawing."""
        return self._transport.run(self._calls.graph())

    def activations(
        self, images: ImageSources, layers: str | Sequence[str], **options: Unpack[TensorOptions]
    ) -> Activations:
        """Compute what layers make of a batch of images.

        Args:
            images: An image or a list of them; for several inputs, either by the name of each input.
                Floating-point arrays are tensors, fed as they are.
            layers: One selector or several.
            **options: See `TensorOptions`.

        Returns:
            The arrays by layer address, bit exact unless options say otherwise.

        Raises:
            OSError, TypeError, ValueError: An image cannot be read or sent.
        """
        return self._transport.run(self._calls.activations(read_images(images), layers, options))

    def plan(
        self, images: "ImageSources | int", layers: str | Sequence[str], **options: Unpack[TensorOptions]
    ) -> Plan:
        """Tell what `activations` would be and take, and whether it would be refused. The model is not run.

        Args:
            images: As for `activations`; or only how many, where the model takes images of one size.
            layers: One selector or several.
            **options: See `TensorOptions`.

        Raises:
            OSError, TypeError, ValueError: An image cannot be read or sent.
        """
        material = images if isinstance(images, int) else read_images(images)
        return self._transport.run(self._calls.plan(material, layers, options))

    def feature_map(
        self,
        image: ImageSources,
        layer: str,
        channel: int | None = None,
        channels: Channels | None = None,
        **options: Unpack[PictureOptions],
    ) -> Picture:
        """Draw one channel of a layer, or a grid of several.

        Args:
            image: An image; for several inputs, one by the name of each.
            layer: The layer's address; or several, comma separated, to be drawn one below the other.
            channel: The number of the channel, or
            channels: several, such as [0, 3], "0,3,8-15", "top:16" or "all".
            **options: See `PictureOptions`.

        Raises:
            OSError, TypeError, ValueError: The image cannot be read or sent.
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
        """Tell what lies where in the picture that `feature_map` gives for the same arguments.

        Raises:
            OSError, TypeError, ValueError: The image cannot be read or sent.
        """
        return self._transport.run(self._calls.atlas(read_images(image), layer, channel, channels, options))

    def overlay(
        self,
        image: ImageSources,
        layer: str,
        channel: int | None = None,
        **options: Unpack[OverlayOptions],
    ) -> Picture:
        """Draw a map of a layer over the picture.

        Args:
            image: An image; for several inputs, one by the name of each.
            layer: The layer's address; its values must lie in rows and columns.
            channel: The number of the channel; left out, the mean magnitude over all.
            **options: See `OverlayOptions`.

        Raises:
            OSError, TypeError, ValueError: The image cannot be read or sent.
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
        """Tell where in images the reasons for an output lie.

        Args:
            images: An image or a list of them; for several inputs, either by the name of each input.
            method: One of `Client.attribution_methods`.
            progress: Is called with how many runs are done, and of how many, while the service works. Methods that run
                the model often may then take longer than the timeout. What it raises stops them.
            **options: See `AttributionOptions`.

        Raises:
            OSError, TypeError, ValueError: An image cannot be read or sent.
        """
        return self._transport.run(self._calls.attribution(read_images(images), method, options, progress))

    def attribution_picture(
        self,
        image: ImageSources,
        method: str = "gradcam",
        **options: Unpack[AttributionPictureOptions],
    ) -> Picture:
        """Draw a heat map over the picture.

        Args:
            image: An image; for several inputs, one by the name of each.
            method: One of `Client.attribution_methods`.
            **options: See `AttributionPictureOptions`.

        Raises:
            OSError, TypeError, ValueError: The image cannot be read or sent.
        """
        return self._transport.run(self._calls.attribution_picture(read_images(image), method, options))

    def statistics(
        self,
        images: ImageSources,
        layers: str | Sequence[str] = "all",
        bins: int = 32,
        histograms: Literal["layer", "channel", "none"] = "layer",
    ) -> Statistics:
        """Tell what the values of layers and of their channels are like, over all images together.

        Args:
            images: As for `activations`.
            layers: One selector or several.
            bins: Bins of each histogram.
            histograms: Whether "channel"s have one too, or there are "none".

        Raises:
            OSError, TypeError, ValueError: An image cannot be read or sent.
        """
        material = read_images(images)
        options = {"bins": bins, "histograms": histograms}
        return self._transport.run(self._calls.statistics(material, layers, options))

    def statistics_picture(self, images: ImageSources, layers: str | Sequence[str] = "all") -> Picture:
        """Draw a row a layer: how its values are spread, its zeros, its dead and saturated channels.

        Raises:
            OSError, TypeError, ValueError: An image cannot be read or sent.
        """
        material = read_images(images)
        return self._transport.run(self._calls.statistics_picture(material, layers))

    def predictions(self, images: ImageSources, top: int = 5) -> Predictions:
        """Compute the `top` best classes of every output for each image.

        Raises:
            OSError, TypeError, ValueError: An image cannot be read or sent.
        """
        return self._transport.run(self._calls.predictions(read_images(images), top))

    def inspect(
        self,
        images: ImageSources,
        layers: str | Sequence[str] = "all",
        top: int = 5,
        **options: Unpack[InspectOptions],
    ) -> Inspection:
        """Run the model once, and get predictions, statistics, and links to pictures and tensors.

        What is behind the links is computed already. Tensors and several inputs have none.

        Args:
            images: An image or a list of them; for several inputs, either by the name of each input.
            layers: One selector or several.
            top: How many classes to tell.
            **options: See `InspectOptions`.

        Raises:
            OSError, TypeError, ValueError: An image cannot be read or sent.
        """
        flow = self._calls.inspect(read_images(images), layers, {"top": top, **options})
        return self._transport.run(flow)

    def picture(self, link: str) -> Picture:
        """Fetch the picture behind a link of `inspect`.

        Raises:
            ValueError: It is no link of the service.
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
        """Tell which part of each input a unit of a layer's map sees. The model is not run.

        Args:
            layer: The layer's address.
            y: The unit's row and
            x: column (of a sequence, x is the step); the middle if left out.
            z: Its slice, in maps of three axes.
            image: An image, where the model takes images of any size.

        Raises:
            OSError, TypeError, ValueError: The image cannot be read or sent.
        """
        material = None if image is None else read_images(image)
        return self._transport.run(self._calls.receptive_field(layer, {"z": z, "y": y, "x": x}, material))
