"""The blocking client."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, Unpack

import httpx2

from layerscope_client import _job_calls
from layerscope_client._attribution import AttributionMethod
from layerscope_client._comparisons import Comparison, ComparisonCalls, ComparisonOptions
from layerscope_client._data_sets import DataSets
from layerscope_client._descriptions import AddedModel, Limit, ModelSummary
from layerscope_client._flows import Progress
from layerscope_client._images import ImageSource, ImageSources, read_image, read_images
from layerscope_client._job import Job
from layerscope_client._job_calls import ExtractOptions
from layerscope_client._model import Model
from layerscope_client._picture import Picture
from layerscope_client._results import StoredImage
from layerscope_client._service_calls import ServiceCalls
from layerscope_client._transport import DEFAULT_BASE_URL, Policy, Transport
from layerscope_client._uploads import Uploads


class Client:
    """A Layerscope service. Safe to use from many threads; a context manager that closes its connections.

    Every call can raise a `LayerscopeError`: `ConnectionFailed` if no answer comes, or the class for the `code` of the
    error that the service answers.

    Args:
        base_url: The address of the service, with the path before `/v1` if it has one.
        api_key: The API key, sent as a bearer token.
        timeout: Most seconds to wait for a connection, and for each part of an answer.
        retries: Most retries of a request while the service is busy (429, 503), each after the pause that it asks
            for. If that is longer than 30 s, the call fails at once.
        http: An httpx2 client to use, with its own address and timeout instead of those above. It is not closed by this
            client. Starlette's `TestClient` is one, and calls an app in the same process.
    """

    def __init__(
        self,
        base_url: str = DEFAULT_BASE_URL,
        *,
        api_key: str | None = None,
        timeout: float = 30.0,
        retries: int = 3,
        http: httpx2.Client | None = None,
    ) -> None:
        self._http = httpx2.Client(base_url=base_url, timeout=timeout) if http is None else http
        self._owns_http = http is None
        self._transport = Transport(self._http, Policy(api_key, retries))
        self._uploads = Uploads()
        self._calls = ServiceCalls(self._uploads)
        self._comparisons = ComparisonCalls(self._uploads)
        self._data_sets = DataSets(self._transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections. A client that was passed in stays open."""
        if self._owns_http:
            self._http.close()

    def model(self, name: str) -> Model:
        """Return a model by name. No request is sent, so that it need not exist.

        Args:
            name: "name" (its default version), "name@3" or "name@label".

        Raises:
            ValueError: The text cannot name a model.
        """
        return Model(name, self._transport, self._uploads)

    def models(self) -> list[ModelSummary]:
        """List every model with its versions, loaded or not."""
        return self._transport.run(self._calls.models())

    @property
    def datasets(self) -> DataSets:
        """The data sets that the service has registered."""
        return self._data_sets

    def limits(self) -> list[Limit]:
        """List every limit that the service enforces."""
        return self._transport.run(self._calls.limits())

    def colormaps(self) -> list[str]:
        """List the names of all colormaps."""
        return self._transport.run(self._calls.colormaps())

    def attribution_methods(self) -> list[AttributionMethod]:
        """List every attribution method, with its options, its cost and its paper."""
        return self._transport.run(self._calls.attribution_methods())

    def version(self) -> dict[str, str]:
        """Return the versions of the service and of its libraries, by name."""
        return self._transport.run(self._calls.version())

    def compare(
        self,
        reference: str,
        candidate: str,
        images: ImageSources,
        progress: Progress | None = None,
        **options: Unpack[ComparisonOptions],
    ) -> Comparison:
        """Compare two models on the same images: how each layer changed, where that begins, and what they predict.

        Args:
            reference: The trusted model, as "name", "name@version" or "name@label".
            candidate: The other one, or a `.tflite` file beside one, such as "digits@1/model.tflite".
            images: As for `Model.activations`.
            progress: Is called with the number of images that are done, and their total.
            **options: See `ComparisonOptions`.
        """
        flow = self._comparisons.compare(read_images(images), (reference, candidate), options, progress)
        return self._transport.run(flow)

    def comparison_picture(
        self, reference: str, candidate: str, images: ImageSources, **options: Unpack[ComparisonOptions]
    ) -> Picture:
        """Draw the change of each layer between two models, or with `match="matrix"` the similarity of all pairs."""
        flow = self._comparisons.picture(read_images(images), (reference, candidate), options)
        return self._transport.run(flow)

    def add_model(
        self,
        file: str | Path,
        name: str,
        declaration: Mapping[str, object] | None = None,
        *,
        load: bool = True,
    ) -> AddedModel:
        """Upload a model file as the next version of a model. The service must run with `--allow-upload`.

        The same file with the same declaration again does not become another version. For a large model the check takes
        longer than the default `timeout`.

        Args:
            file: A .keras or .h5 file.
            name: The name of the model.
            declaration: As in a `layerscope.json`: preprocessing, inputs, features, classes, labels, warm_up.
            load: Whether to load the version.

        Returns:
            The version, and the report about the file.

        Raises:
            OSError: The file cannot be read.
            ModelRefused: The file is not accepted; the message gives the reason.
            ControlRefused: The service does not allow uploads.
        """
        return self._transport.run(self._calls.add_model(Path(file), name, declaration, load=load))

    def extract(
        self,
        model: str,
        layers: str | Sequence[str],
        *,
        data: str,
        to: str,
        **options: Unpack[ExtractOptions],
    ) -> Job:
        """Have layers of every image of a data set written to files, by processes of the service.

        The same arguments again are the same job: it goes on from what is there.

        Args:
            model: "name", "name@3" or "name@label".
            layers: Selectors of layers.
            data: The images: a place that the operator of the service has named, and what is below it, such as "photos:2026/".
            to: The folder for the result, below a place that may be written, such as "features:2026/".
            **options: See `ExtractOptions`.

        Raises:
            PlaceNotFound: There is no such place.
            ControlRefused: The place may not be written, or the service does no jobs.
            JobDiffers: Another job writes there.
        """
        description = self._transport.run(_job_calls.start(model, layers, data, to, options))
        return Job(description, self._transport)

    def jobs(self) -> list[Job]:
        """List every job, the one that was asked for last first."""
        return [Job(each, self._transport) for each in self._transport.run(_job_calls.listed())]

    def job(self, job_id: str) -> Job:
        """Return a job by its id.

        Raises:
            JobNotFound: There is no job of that id.
            ValueError: The text is no id.
        """
        return Job(self._transport.run(_job_calls.described(job_id)), self._transport)

    def upload(self, image: ImageSource) -> StoredImage:
        """Upload an image, or renew the time of a stored one.

        Calls on models upload their images, too; here the result describes the image.

        Raises:
            OSError, TypeError, ValueError: The image cannot be read or sent; a tensor cannot be stored.
        """
        return self._transport.run(self._calls.upload(read_image(image)))

    def thumbnail(self, image: StoredImage | str, side: int = 128) -> bytes:
        """Return a small picture of a stored image, a PNG file.

        Args:
            image: The stored image, or its id.
            side: The longer side, in pixels.

        Raises:
            ImageNotFound: The image is not stored.
            ValueError: The text is no id.
        """
        return self._transport.run(self._calls.thumbnail(image, side))

    def forget(self, image: StoredImage | str) -> None:
        """Delete a stored image, given as a `StoredImage` or as its id.

        Raises:
            ImageNotFound: The image is not stored.
            ValueError: The text is no id.
        """
        self._transport.run(self._calls.forget(image))
