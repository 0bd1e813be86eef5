"""Errors of a request, or of who sends it."""

from layerscope_client.errors.base import LayerscopeError


class Malformed(LayerscopeError):
    """The request cannot be understood."""


class InvalidRequest(Malformed):
    """The body, a field or an option does not have the form it must have."""


class InvalidAddress(Malformed):
    """A layer address does not follow `path[:call][.output][@site]`."""


class InvalidSelector(Malformed):
    """A layer selector does not follow the grammar, or its pattern does not compile."""


class HostRefused(Malformed):
    """The service does not accept the host name in the address."""


class Denied(LayerscopeError):
    """The caller is not allowed to do this."""


class KeyInvalid(Denied):
    """The API key is missing, unknown, revoked or expired."""


class ScopeMissing(Denied):
    """The scopes of the API key do not allow this."""


class OriginRefused(Denied):
    """A page of another site requested a change, and the service does not allow that site."""


class NotFound(LayerscopeError):
    """What the request names does not exist."""


class ModelNotFound(NotFound):
    """No model, version or label of that name."""


class ImageNotFound(NotFound):
    """No stored image of that id: never stored, expired or evicted."""


class PlaceNotFound(NotFound):
    """No place of that name: `details["places"]` has those that the operator has named."""


class DataSetNotFound(NotFound):
    """No data set of that name, or no row of that number in it."""


class JobNotFound(NotFound):
    """No job of that id: never asked for, or forgotten to make room for others."""


class Conflict(LayerscopeError):
    """The request contradicts what is already there."""


class ModelNotLoaded(Conflict):
    """The model exists but is not loaded."""


class ControlRefused(Conflict):
    """The service does not let requests change its models."""


class JobDiffers(Conflict):
    """The folder has the result of another job, or the model is another than when the job began."""


class InputChanged(Conflict):
    """An image of a data set is not there any more, or is another than was listed."""


class DataSetExists(Conflict):
    """There is another data set of that name."""


class TooLarge(LayerscopeError):
    """A limit would be exceeded. `details` have the requested size and the limit."""


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


class TextTooLong(TooLarge):
    """Texts have more bytes or tokens than one request may carry, or more tokens than the model takes."""


class Unsupported(LayerscopeError):
    """A format that the service does not read or write."""


class UnsupportedImage(Unsupported):
    """The bytes are not an image in a format the service decodes."""


class UnsupportedFormat(Unsupported):
    """The service does not support the content type that was sent, or the format that was requested."""


class NotAcceptable(Unsupported):
    """The Accept header allows none of the formats that the answer can have."""


class Impossible(LayerscopeError):
    """The request is well formed and cannot be done."""


class LayerNotFound(Impossible):
    """A selector matches no layer. `details["near"]` names up to three close ones."""


class ChannelNotFound(Impossible):
    """A channel outside the layer's channels."""


class OptionInvalid(Impossible):
    """An option has a value that is not possible here."""


class NoPicture(Impossible):
    """The activation has no picture: its rank or type cannot be drawn."""


class ImageUnreadable(Impossible):
    """The image is damaged or truncated."""


class DataSetUnreadable(Impossible):
    """There are no images where a data set is to be, or they cannot be listed."""


class TooManyFailed(Impossible):
    """More images of a job failed than it may have."""


class ImageTooComplex(Impossible):
    """Decoding the image would take far more work than its size in pixels explains."""


class TensorUnreadable(Impossible):
    """The tensor is damaged or of an unsupported type."""


class TextUnreadable(Impossible):
    """A text is not UTF-8, or the tokenizer of the model cannot split it."""


class NoTokenizer(Impossible):
    """The model declares no tokenizer, so that it takes no text."""


class InputMismatch(Impossible):
    """The images or tensors do not fit the model's inputs."""


class NotDifferentiable(Impossible):
    """No gradient flows from the target to the layer."""
