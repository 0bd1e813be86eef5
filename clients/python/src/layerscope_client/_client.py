"""The blocking client."""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx2

from layerscope_client._answers import StoredImage
from layerscope_client._attribution import AttributionMethod
from layerscope_client._calls import ServiceCalls
from layerscope_client._descriptions import AddedModel, Limit, ModelSummary
from layerscope_client._images import ImageSource, read_image
from layerscope_client._model import Model
from layerscope_client._transport import DEFAULT_BASE_URL, Policy, Transport
from layerscope_client._uploads import Uploads


class Client:
    """A Layerscope service. Safe to use from many threads; a context manager that closes its connections.

    Every call raises a `LayerscopeError`: `ConnectionFailed` when no answer comes, or the class that stands for
    the `code` of the error the service answers.

    Args:
        base_url: Where the service is; a path before `/v1` may be part of it.
        api_key: Sent as a bearer token.
        timeout: Seconds to wait for a connection, and for each piece of an answer.
        retries: How often a request is sent again while the service says it is busy (429, 503), after the time
            it asks for; a wait of more than 30 s is not waited for.
        http: An httpx2 client to use instead of an own one. Its address and timeout count, not those above, and
            it is not closed here. Starlette's `TestClient` is one, and drives an app within the process.
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
        """Name a model, without asking whether it exists.

        Args:
            name: "name" (its default version), "name@3" or "name@label".

        Raises:
            ValueError: The text cannot name a model.
        """
        return Model(name, self._transport, self._uploads)

    def models(self) -> list[ModelSummary]:
        """List every model with its versions, loaded or not."""
        return self._transport.run(self._calls.models())

    def limits(self) -> list[Limit]:
        """List every bound the service enforces."""
        return self._transport.run(self._calls.limits())

    def colormaps(self) -> list[str]:
        """List every name that `colormap` takes."""
        return self._transport.run(self._calls.colormaps())

    def attribution_methods(self) -> list[AttributionMethod]:
        """List every attribution method, with its options, what it costs, and its paper."""
        return self._transport.run(self._calls.attribution_methods())

    def version(self) -> dict[str, str]:
        """Return the versions of the service and of what it runs on, by name."""
        return self._transport.run(self._calls.version())

    def add_model(
        self,
        file: str | Path,
        name: str,
        declaration: Mapping[str, object] | None = None,
        *,
        load: bool = True,
    ) -> AddedModel:
        """Send a model file, which becomes the next version of a model. The service must run with `--allow-upload`.

        The same file with the same declaration again is the version that it was. Checking and trying a large model takes
        longer than the usual `timeout` of a client.

        Args:
            file: A .keras or .h5 file.
            name: What to call the model.
            declaration: As in a `layerscope.json`: preprocessing, inputs, classes, labels, warm_up.
            load: Whether to load it, too.

        Returns:
            The version, and what the file turned out to be.

        Raises:
            OSError: The file cannot be read.
            ModelRefused: It is not accepted, and why.
            ControlRefused: The service takes no models.
        """
        return self._transport.run(self._calls.add_model(Path(file), name, declaration, load=load))

    def upload(self, image: ImageSource) -> StoredImage:
        """Store an image, or renew the time of one that is stored.

        Calls on models do this by themselves; here the answer says what the service makes of the image.

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
            ImageNotFound: It is not stored.
            ValueError: The text is no id.
        """
        return self._transport.run(self._calls.thumbnail(image, side))

    def forget(self, image: StoredImage | str) -> None:
        """Delete a stored image, given as itself or by its id.

        Raises:
            ImageNotFound: It is not stored.
            ValueError: The text is no id.
        """
        self._transport.run(self._calls.forget(image))
