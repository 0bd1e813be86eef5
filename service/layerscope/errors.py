"""Everything that can go wrong, as one tree of causes.

Each leaf is one *code*: a stable string a program can switch on. Its message is one sentence a person can
act on; `details` holds the figures and names in it. The branches are what a caller can do about it, and
the HTTP service maps branches to statuses, not single codes, but where HTTP itself tells two of them apart.

::

    LayerscopeError
    ├── Malformed              the request cannot be understood
    │   ├── InvalidRequest         invalid_request
    │   ├── InvalidAddress         invalid_address
    │   ├── InvalidSelector        invalid_selector
    │   └── HostRefused            host_refused
    ├── Denied                 whoever asks may not
    │   ├── KeyInvalid             key_invalid
    │   ├── ScopeMissing           scope_missing
    │   └── OriginRefused          origin_refused
    ├── NotFound               what it names does not exist
    │   ├── ModelNotFound          model_not_found
    │   └── ImageNotFound          image_not_found
    ├── Conflict               it contradicts what is already there
    │   ├── ModelNotLoaded         model_not_loaded
    │   └── ControlRefused         control_refused
    ├── TooLarge               a bound would be passed; details carry both numbers and ways to stay below
    │   ├── HeadersTooLarge        headers_too_large
    │   ├── BodyTooLarge           body_too_large
    │   ├── ImageTooLarge          image_too_large
    │   ├── AnswerTooLarge         answer_too_large
    │   └── TooMany                too_many
    ├── Unsupported            a format nobody here reads or writes
    │   ├── UnsupportedImage       unsupported_image
    │   └── UnsupportedFormat      unsupported_format
    ├── Impossible             well formed, but cannot be done
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
    ├── Overloaded             too much at once; try again
    │   ├── QueueFull              queue_full
    │   └── QuotaExceeded          quota_exceeded
    ├── Unavailable            not now; try again
    │   ├── ModelLoading           model_loading
    │   ├── MemoryBusy             memory_busy
    │   ├── SourceUnreachable      source_unreachable
    │   └── Draining               draining
    ├── SlowSender             slow_sender
    ├── DeadlineExceeded       deadline_exceeded
    └── StorageFull            storage_full

Anything else that escapes is a bug.
"""

from collections.abc import Sequence
from typing import ClassVar


class LayerscopeError(Exception):
    """The root: a message for a person, a `code` for a program, and `details` for both."""

    code: ClassVar[str]

    def __init__(self, message: str, **details: object) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class Malformed(LayerscopeError):
    """The request cannot be understood."""


class InvalidRequest(Malformed):
    """The body, a field or an option does not have the form it must have."""

    code = "invalid_request"


class InvalidAddress(Malformed):
    """A layer address does not follow `path[:call][.output][@site]`."""

    code = "invalid_address"


class InvalidSelector(Malformed):
    """A layer selector does not follow the grammar, or its pattern does not compile."""

    code = "invalid_selector"


class HostRefused(Malformed):
    """The Host header is missing or names a host that this service is not."""

    code = "host_refused"


class Denied(LayerscopeError):
    """Whoever asks may not."""


class KeyInvalid(Denied):
    """The API key is missing, unknown, revoked or expired."""

    code = "key_invalid"


class ScopeMissing(Denied):
    """The API key may not do this."""

    code = "scope_missing"


class OriginRefused(Denied):
    """A page of another site asked for a change, and that site is not let in."""

    code = "origin_refused"


class NotFound(LayerscopeError):
    """What the request names does not exist."""


class ModelNotFound(NotFound):
    """No model, version or label of that name."""

    code = "model_not_found"


class ImageNotFound(NotFound):
    """No stored image of that id: never stored, expired or evicted."""

    code = "image_not_found"


class Conflict(LayerscopeError):
    """The request contradicts what is already there."""


class ModelNotLoaded(Conflict):
    """The model is known but not in memory: it failed to load, or was unloaded."""

    code = "model_not_loaded"


class ControlRefused(Conflict):
    """Which models there are is decided elsewhere: the service was not started to be told, or they are not its own."""

    code = "control_refused"


class TooLarge(LayerscopeError):
    """A bound would be passed.

    `details` carry the size asked for, the limit, and `ways`: three ways to stay below it, which end the message too.
    """

    def __init__(self, message: str, *, ways: Sequence[str] = (), **details: object) -> None:
        if ways:
            message = f"{message}: {', '.join(ways[:-1])}, or {ways[-1]}."
            details["ways"] = list(ways)
        super().__init__(message, **details)


class HeadersTooLarge(TooLarge):
    """The request line and headers are longer than the service reads."""

    code = "headers_too_large"


class BodyTooLarge(TooLarge):
    """The request body is longer than the service reads."""

    code = "body_too_large"


class ImageTooLarge(TooLarge):
    """The image has more pixels, or a longer side, than the service decodes."""

    code = "image_too_large"


class AnswerTooLarge(TooLarge):
    """The answer is larger than the service sends in that format, or takes more memory than a request may have."""

    code = "answer_too_large"


class TooMany(TooLarge):
    """More images, selectors or parts than one request may carry."""

    code = "too_many"


class Unsupported(LayerscopeError):
    """A format that is not read or not written here."""


class UnsupportedImage(Unsupported):
    """The bytes are not an image in a format the service decodes."""

    code = "unsupported_image"


class UnsupportedFormat(Unsupported):
    """The content type sent, or the format asked for, is not one the service speaks."""

    code = "unsupported_format"


class Impossible(LayerscopeError):
    """The request is well formed and cannot be done."""


class LayerNotFound(Impossible):
    """A selector matches no layer. `details["near"]` names up to three close ones."""

    code = "layer_not_found"


class ChannelNotFound(Impossible):
    """A channel outside the layer's channels."""

    code = "channel_not_found"


class OptionInvalid(Impossible):
    """An option has a value that makes no sense here."""

    code = "option_invalid"


class NoPicture(Impossible):
    """The activation has no picture: its rank or type cannot be drawn."""

    code = "no_picture"


class ImageUnreadable(Impossible):
    """The image is damaged or truncated."""

    code = "image_unreadable"


class ImageTooComplex(Impossible):
    """The image would cost far more to decode than its pixels warrant."""

    code = "image_too_complex"


class TensorUnreadable(Impossible):
    """The .npy data is damaged, pickled or of an unsupported type."""

    code = "tensor_unreadable"


class InputMismatch(Impossible):
    """The images or tensors do not fit the model's inputs."""

    code = "input_mismatch"


class NotDifferentiable(Impossible):
    """No gradient flows from the target to the tap."""

    code = "not_differentiable"


class ModelRefused(Impossible):
    """The model file cannot be opened, traced or run."""

    code = "model_refused"


class ModelUnreadable(ModelRefused):
    """The file is damaged, or of another format than its name says."""

    code = "model_unreadable"


class ModelTooLarge(ModelRefused):
    """The model has more bytes, layers, parameters or parts than one may have. `details` carry both numbers."""

    code = "model_too_large"


class ConfigInvalid(ModelRefused):
    """The model's configuration says what no configuration of Keras says. `details["path"]` is where."""

    code = "config_invalid"


class LayerNotAllowed(ModelRefused):
    """The model has a layer, class or function that is code or unknown. `details["path"]` is where."""

    code = "layer_not_allowed"


class WeightsExternalReference(ModelRefused):
    """The weights are, or may be, in another place than the model's file."""

    code = "weights_external_reference"


class WeightsMalformed(ModelRefused):
    """The weights are not plain arrays of numbers, each in one place."""

    code = "weights_malformed"


class WeightsShapeMismatch(ModelRefused):
    """The weights have other shapes than the model's configuration implies, or than the file holds."""

    code = "weights_shape_mismatch"


def model_refusal(code: str, message: str, details: dict[str, object]) -> ModelRefused:
    """The refusal of a model as another process told it: of the branch with that code, or else of the trunk."""
    kinds = {kind.code: kind for kind in ModelRefused.__subclasses__()}
    return kinds.get(code, ModelRefused)(message, **details)


class Overloaded(LayerscopeError):
    """Too much at once. Trying again later helps."""


class QueueFull(Overloaded):
    """As many requests are waiting as the service lets wait."""

    code = "queue_full"


class QuotaExceeded(Overloaded):
    """As many requests of the same API key are being answered as one may have."""

    code = "quota_exceeded"


class Unavailable(LayerscopeError):
    """Not now. Trying again later helps."""


class ModelLoading(Unavailable):
    """The model is still being loaded."""

    code = "model_loading"


class MemoryBusy(Unavailable):
    """Other requests work in the memory that this one needs, and did not finish in its time."""

    code = "memory_busy"


class SourceUnreachable(Unavailable):
    """Where models are fetched from cannot be read; what was fetched before is kept."""

    code = "source_unreachable"


class Draining(Unavailable):
    """The service was told to end, and the request did not finish in the time that was left."""

    code = "draining"


class SlowSender(LayerscopeError):
    """The request did not arrive in its time."""

    code = "slow_sender"


class DeadlineExceeded(LayerscopeError):
    """The request could not be answered in its time."""

    code = "deadline_exceeded"


class StorageFull(LayerscopeError):
    """There is no room to store what was sent."""

    code = "storage_full"
