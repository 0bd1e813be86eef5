"""Errors of the request: the caller changes what is sent, or who sends it, and tries again."""

from collections.abc import Sequence

from layerscope.errors.base import LayerscopeError


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
    """The caller has no permission."""


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


class PlaceNotFound(NotFound):
    """No place of that name: `details["places"]` has those that the operator has named."""

    code = "place_not_found"


class DataSetNotFound(NotFound):
    """No data set of that name, or no row of that number in it."""

    code = "data_set_not_found"


class JobNotFound(NotFound):
    """No job of that id: never asked for, or forgotten to make room for others."""

    code = "job_not_found"


class Conflict(LayerscopeError):
    """The request contradicts what is already there."""


class ModelNotLoaded(Conflict):
    """The model is known but not in memory: it failed to load, or was unloaded."""

    code = "model_not_loaded"


class ControlRefused(Conflict):
    """The service does not control this: it was not started with that right, or the model was not uploaded to it."""

    code = "control_refused"


class JobDiffers(Conflict):
    """The folder has the result of another job, or the model is another than when the job began."""

    code = "job_differs"


class InputChanged(Conflict):
    """An image of a data set is not there any more, or is another than was listed."""

    code = "input_changed"


class DataSetExists(Conflict):
    """There is another data set of that name."""

    code = "data_set_exists"


class TooLarge(LayerscopeError):
    """A bound would be passed.

    `details` carry the size asked for, the limit, and `ways`: how to stay below it, which end the message too.
    """

    def __init__(self, message: str, *, ways: Sequence[str] = (), **details: object) -> None:
        if ways:
            first = f"{', '.join(ways[:-1])}, or " if len(ways) > 1 else ""
            message = f"{message}: {first}{ways[-1]}."
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


class TextTooLong(TooLarge):
    """Texts have more bytes or tokens than one request may carry, or more tokens than the model takes."""

    code = "text_too_long"


class Unsupported(LayerscopeError):
    """A format that is not read or not written here."""


class UnsupportedImage(Unsupported):
    """The bytes are not an image in a format the service decodes."""

    code = "unsupported_image"


class UnsupportedFormat(Unsupported):
    """The content type sent, or the format asked for, is not one the service speaks."""

    code = "unsupported_format"


class NotAcceptable(Unsupported):
    """The Accept header allows none of the formats that the answer can have."""

    code = "not_acceptable"


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


class DataSetUnreadable(Impossible):
    """There are no images where a data set is to be, or they cannot be listed."""

    code = "data_set_unreadable"


class TooManyFailed(Impossible):
    """More images of a job failed than it may have."""

    code = "too_many_failed"


class ImageUnreadable(Impossible):
    """The image is damaged or truncated."""

    code = "image_unreadable"


class ImageTooComplex(Impossible):
    """The image would cost far more to decode than its pixels warrant."""

    code = "image_too_complex"


class TensorUnreadable(Impossible):
    """The .npy data is damaged, pickled or of an unsupported type."""

    code = "tensor_unreadable"


class TextUnreadable(Impossible):
    """A text is not UTF-8, or the tokenizer of the model cannot split it."""

    code = "text_unreadable"


class NoTokenizer(Impossible):
    """The model declares no tokenizer, so that it takes no text."""

    code = "no_tokenizer"


class InputMismatch(Impossible):
    """The images or tensors do not fit the model's inputs."""

    code = "input_mismatch"


class NotDifferentiable(Impossible):
    """The target cannot be differentiated by the tap, or explained by it at all."""

    code = "not_differentiable"
