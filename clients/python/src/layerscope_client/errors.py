"""Everything a call can raise, as one tree that mirrors the service's own.

A class is chosen by the answer's `code`; a code this version does not know falls back to the status.

::

    LayerscopeError
    ├── ConnectionFailed       connection_failed: no answer came
    ├── AnswerUnreadable       answer_unreadable: something else than a Layerscope service answered
    ├── Malformed              400: the request cannot be understood
    │   ├── InvalidRequest         invalid_request
    │   ├── InvalidAddress         invalid_address
    │   ├── InvalidSelector        invalid_selector
    │   └── HostRefused            host_refused
    ├── Denied                 401, 403: whoever asks may not
    │   ├── KeyInvalid             key_invalid
    │   ├── ScopeMissing           scope_missing
    │   └── OriginRefused          origin_refused
    ├── NotFound               404: what it names does not exist
    │   ├── ModelNotFound          model_not_found
    │   └── ImageNotFound          image_not_found
    ├── Conflict               409: it contradicts what is already there
    │   ├── ModelNotLoaded         model_not_loaded
    │   └── ControlRefused         control_refused
    ├── TooLarge               413: a bound would be passed; details carry both numbers
    │   ├── HeadersTooLarge        headers_too_large
    │   ├── BodyTooLarge           body_too_large
    │   ├── ImageTooLarge          image_too_large
    │   ├── AnswerTooLarge         answer_too_large
    │   └── TooMany                too_many
    ├── Unsupported            415: a format the service does not read or write
    │   ├── UnsupportedImage       unsupported_image
    │   └── UnsupportedFormat      unsupported_format
    ├── Impossible             422: well formed, but cannot be done
    │   ├── LayerNotFound          layer_not_found
    │   ├── ChannelNotFound        channel_not_found
    │   ├── OptionInvalid          option_invalid
    │   ├── NoPicture              no_picture
    │   ├── ImageUnreadable        image_unreadable
    │   ├── ImageTooComplex        image_too_complex
    │   ├── TensorUnreadable       tensor_unreadable
    │   ├── InputMismatch          input_mismatch
    │   ├── NotDifferentiable      not_differentiable
    │   └── ModelRefused           model_refused
    │       ├── ModelUnreadable            model_unreadable
    │       ├── ModelTooLarge              model_too_large
    │       ├── ConfigInvalid              config_invalid
    │       ├── LayerNotAllowed            layer_not_allowed
    │       ├── WeightsExternalReference   weights_external_reference
    │       ├── WeightsMalformed           weights_malformed
    │       └── WeightsShapeMismatch       weights_shape_mismatch
    ├── Overloaded             429: too much at once, also after the retries
    │   ├── QueueFull              queue_full
    │   └── QuotaExceeded          quota_exceeded
    ├── Unavailable            503: not now, also after the retries
    │   ├── ModelLoading           model_loading
    │   ├── MemoryBusy             memory_busy
    │   ├── SourceUnreachable      source_unreachable
    │   └── Draining               draining
    ├── SlowSender             408: slow_sender
    ├── DeadlineExceeded       504: deadline_exceeded
    ├── StorageFull            507: storage_full
    └── ServiceFault           500: a bug of the service; report it with the request id

Arguments that cannot be sent at all raise Python's own TypeError or ValueError before any request.
"""

from collections.abc import Mapping
from typing import Any


class LayerscopeError(Exception):
    """The root of what this client raises.

    Attributes:
        code: A stable string a program can switch on, such as "layer_not_found".
        message: One sentence a person can act on.
        status: The HTTP status, or None when no answer came, or an error at the end of a stream that had begun.
        details: The figures and names in the message.
        request_id: What the service's log calls this request, or None.
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

    def __str__(self) -> str:
        return self.message


class ConnectionFailed(LayerscopeError):
    """No answer came: refused, broken off or too slow. `details["cause"]` names which."""


class AnswerUnreadable(LayerscopeError):
    """The answer is not what a Layerscope service sends: damaged, or from something else at that address."""


class Malformed(LayerscopeError):
    """The request cannot be understood."""


class InvalidRequest(Malformed):
    """The body, a field or an option does not have the form it must have."""


class InvalidAddress(Malformed):
    """A layer address does not follow `path[:call][.output][@site]`."""


class InvalidSelector(Malformed):
    """A layer selector does not follow the grammar, or its pattern does not compile."""


class HostRefused(Malformed):
    """The service is not known by the name in the address."""


class Denied(LayerscopeError):
    """Whoever asks may not."""


class KeyInvalid(Denied):
    """The API key is missing, unknown, revoked or expired."""


class ScopeMissing(Denied):
    """The API key may not do this."""


class OriginRefused(Denied):
    """A page of another site asked for a change, and the service does not let that site in."""


class NotFound(LayerscopeError):
    """What the request names does not exist."""


class ModelNotFound(NotFound):
    """No model, version or label of that name."""


class ImageNotFound(NotFound):
    """No stored image of that id: never stored, expired or evicted."""


class Conflict(LayerscopeError):
    """The request contradicts what is already there."""


class ModelNotLoaded(Conflict):
    """The model is known but not in memory."""


class ControlRefused(Conflict):
    """Which models there are is decided elsewhere than by requests."""


class TooLarge(LayerscopeError):
    """A bound would be passed. `details` carry the size asked for and the limit."""


class HeadersTooLarge(TooLarge):
    """The address and headers of the request are longer than the service reads."""


class BodyTooLarge(TooLarge):
    """The request body is longer than the service reads."""


class ImageTooLarge(TooLarge):
    """The image has more pixels, or a longer side, than the service decodes."""


class AnswerTooLarge(TooLarge):
    """The answer would be larger than the service sends in that format."""


class TooMany(TooLarge):
    """More images, selectors or parts than one request may carry."""


class Unsupported(LayerscopeError):
    """A format that the service does not read or write."""


class UnsupportedImage(Unsupported):
    """The bytes are not an image in a format the service decodes."""


class UnsupportedFormat(Unsupported):
    """The content type sent, or the format asked for, is not one the service speaks."""


class Impossible(LayerscopeError):
    """The request is well formed and cannot be done."""


class LayerNotFound(Impossible):
    """A selector matches no layer. `details["near"]` names up to three close ones."""


class ChannelNotFound(Impossible):
    """A channel outside the layer's channels."""


class OptionInvalid(Impossible):
    """An option has a value that makes no sense here."""


class NoPicture(Impossible):
    """The activation has no picture: its rank or type cannot be drawn."""


class ImageUnreadable(Impossible):
    """The image is damaged or truncated."""


class ImageTooComplex(Impossible):
    """The image would cost far more to decode than its pixels warrant."""


class TensorUnreadable(Impossible):
    """The tensor is damaged or of an unsupported type."""


class InputMismatch(Impossible):
    """The images or tensors do not fit the model's inputs."""


class NotDifferentiable(Impossible):
    """No gradient flows from the target to the layer."""


class ModelRefused(Impossible):
    """The model file cannot be opened, traced or run."""


class ModelUnreadable(ModelRefused):
    """The file is damaged, or of another format than its name says."""


class ModelTooLarge(ModelRefused):
    """The model has more bytes, layers, parameters or parts than one may have."""


class ConfigInvalid(ModelRefused):
    """The model's configuration says what no configuration of Keras says."""


class LayerNotAllowed(ModelRefused):
    """The model has a layer, class or function that is code or unknown."""


class WeightsExternalReference(ModelRefused):
    """The weights are, or may be, in another place than the model's file."""


class WeightsMalformed(ModelRefused):
    """The weights are not plain arrays of numbers, each in one place."""


class WeightsShapeMismatch(ModelRefused):
    """The weights have other shapes than the configuration implies, or than the file holds."""


class Overloaded(LayerscopeError):
    """Too much at once. Trying again later helps."""


class QueueFull(Overloaded):
    """As many requests are waiting as the service lets wait."""


class QuotaExceeded(Overloaded):
    """As many requests of the same API key are being answered as one may have."""


class Unavailable(LayerscopeError):
    """Not now. Trying again later helps."""


class ModelLoading(Unavailable):
    """The model is still being loaded."""


class MemoryBusy(Unavailable):
    """Other requests worked in the memory that this one needs, and did not finish in its time."""


class SourceUnreachable(Unavailable):
    """Where the service fetches models from cannot be read; what it fetched before is kept."""


class SlowSender(LayerscopeError):
    """The request did not arrive in its time."""


class Draining(Unavailable):
    """The service was told to end before the request was finished."""


class DeadlineExceeded(LayerscopeError):
    """The request could not be answered in its time."""


class StorageFull(LayerscopeError):
    """The service has no room to store what was sent."""


class ServiceFault(LayerscopeError):
    """A bug of the service. Its log knows the request by `request_id`."""
