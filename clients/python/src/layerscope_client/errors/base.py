"""What all exceptions have, and those of answers that are none of the service."""

from collections.abc import Mapping
from typing import Any


class LayerscopeError(Exception):
    """The base class of all exceptions of this client.

    Attributes:
        code: A stable name for programs, such as "layer_not_found".
        message: One sentence that says what to do.
        status: The HTTP status; None if no answer came, or for an error at the end of a stream.
        details: The numbers and names in the message.
        request_id: The id of the request in the log of the service, or None.
    """

    def __init__(
        self,
        code: str,
        message: str,
        status: int | None = None,
        details: Mapping[str, Any] | None = None,
        request_id: str | None = None,
    ) -> None:
        # All arguments go to Exception, so that an error survives pickling on its way out of a worker process.
        super().__init__(code, message, status, details, request_id)
        self.code = code
        self.message = message
        self.status = status
        self.details: Mapping[str, Any] = details or {}
        self.request_id = request_id

    @property
    def near(self) -> tuple[str, ...]:
        """Names that are close to the one in the request, best first, where the service knows some."""
        return tuple(self.details.get("near") or ())

    def __str__(self) -> str:
        return self.message


class ConnectionFailed(LayerscopeError):
    """No answer came: the connection was refused, broken off or too slow; see `details["cause"]`."""


class AnswerUnreadable(LayerscopeError):
    """The answer is not what a Layerscope service sends: damaged, or from something else at that address."""


class ServiceFault(LayerscopeError):
    """A bug of the service. Its log has the details under the `request_id`."""
