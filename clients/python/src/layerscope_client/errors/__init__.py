"""Exceptions of the client: one tree, like that of the service.

The class is chosen by the `code` of the answer, or by its status if this version does not know the code.

::

    LayerscopeError
    ├── ConnectionFailed       no answer came
    ├── AnswerUnreadable       something else than a Layerscope service answered
    ├── Malformed              400: InvalidRequest, InvalidAddress, InvalidSelector, HostRefused
    ├── Denied                 401, 403: KeyInvalid, ScopeMissing, OriginRefused
    ├── NotFound               404: ModelNotFound, ImageNotFound, PlaceNotFound, DataSetNotFound, JobNotFound
    ├── SlowSender             408
    ├── Conflict               409: ModelNotLoaded, ControlRefused, JobDiffers, InputChanged, DataSetExists
    ├── TooLarge               413: HeadersTooLarge, BodyTooLarge, ImageTooLarge, AnswerTooLarge, TooMany,
    │                          TextTooLong
    ├── Unsupported            415: UnsupportedImage, UnsupportedFormat; 406: NotAcceptable
    ├── Impossible             422: LayerNotFound, ChannelNotFound, OptionInvalid, NoPicture, ImageUnreadable,
    │   │                      ImageTooComplex, TensorUnreadable, TextUnreadable, NoTokenizer,
    │   │                      DataSetUnreadable, TooManyFailed, InputMismatch, NotDifferentiable
    │   └── ModelRefused       ModelUnreadable, ModelTooLarge, ConfigInvalid, LayerNotAllowed,
    │                          WeightsExternalReference, WeightsMalformed, WeightsShapeMismatch
    ├── Overloaded             429, also after the retries: QueueFull, QuotaExceeded
    ├── ServiceFault           500: a bug of the service; report it with the request id
    ├── Unavailable            503, also after the retries: ModelLoading, MemoryBusy, SourceUnreachable, LoaderFailed,
    │                          RunFailed, RunStuck, Draining
    ├── DeadlineExceeded       504: RunCutOff
    └── StorageFull            507

The code of a class is its name in snake case, such as `layer_not_found` for `LayerNotFound`.

Arguments that cannot be sent raise TypeError or ValueError before any request.
"""

from layerscope_client.errors.base import (
    AnswerUnreadable,
    ConnectionFailed,
    LayerscopeError,
    ServiceFault,
)
from layerscope_client.errors.capacity import (
    DeadlineExceeded,
    Draining,
    LoaderFailed,
    MemoryBusy,
    ModelLoading,
    Overloaded,
    QueueFull,
    QuotaExceeded,
    RunCutOff,
    RunFailed,
    RunStuck,
    SlowSender,
    SourceUnreachable,
    StorageFull,
    Unavailable,
)
from layerscope_client.errors.model import (
    ConfigInvalid,
    LayerNotAllowed,
    ModelRefused,
    ModelTooLarge,
    ModelUnreadable,
    WeightsExternalReference,
    WeightsMalformed,
    WeightsShapeMismatch,
)
from layerscope_client.errors.request import (
    AnswerTooLarge,
    BodyTooLarge,
    ChannelNotFound,
    Conflict,
    ControlRefused,
    DataSetExists,
    DataSetNotFound,
    DataSetUnreadable,
    Denied,
    HeadersTooLarge,
    HostRefused,
    ImageNotFound,
    ImageTooComplex,
    ImageTooLarge,
    ImageUnreadable,
    Impossible,
    InputChanged,
    InputMismatch,
    InvalidAddress,
    InvalidRequest,
    InvalidSelector,
    JobDiffers,
    JobNotFound,
    KeyInvalid,
    LayerNotFound,
    Malformed,
    ModelNotFound,
    ModelNotLoaded,
    NoPicture,
    NotAcceptable,
    NotDifferentiable,
    NotFound,
    NoTokenizer,
    OptionInvalid,
    OriginRefused,
    PlaceNotFound,
    ScopeMissing,
    TensorUnreadable,
    TextTooLong,
    TextUnreadable,
    TooLarge,
    TooMany,
    TooManyFailed,
    Unsupported,
    UnsupportedFormat,
    UnsupportedImage,
)

__all__ = [
    "AnswerTooLarge",
    "AnswerUnreadable",
    "BodyTooLarge",
    "ChannelNotFound",
    "ConfigInvalid",
    "Conflict",
    "ConnectionFailed",
    "ControlRefused",
    "DataSetExists",
    "DataSetNotFound",
    "DataSetUnreadable",
    "DeadlineExceeded",
    "Denied",
    "Draining",
    "HeadersTooLarge",
    "HostRefused",
    "ImageNotFound",
    "ImageTooComplex",
    "ImageTooLarge",
    "ImageUnreadable",
    "Impossible",
    "InputChanged",
    "InputMismatch",
    "InvalidAddress",
    "InvalidRequest",
    "InvalidSelector",
    "JobDiffers",
    "JobNotFound",
    "KeyInvalid",
    "LayerNotAllowed",
    "LayerNotFound",
    "LayerscopeError",
    "LoaderFailed",
    "Malformed",
    "MemoryBusy",
    "ModelLoading",
    "ModelNotFound",
    "ModelNotLoaded",
    "ModelRefused",
    "ModelTooLarge",
    "ModelUnreadable",
    "NoPicture",
    "NoTokenizer",
    "NotAcceptable",
    "NotDifferentiable",
    "NotFound",
    "OptionInvalid",
    "OriginRefused",
    "Overloaded",
    "PlaceNotFound",
    "QueueFull",
    "QuotaExceeded",
    "RunCutOff",
    "RunFailed",
    "RunStuck",
    "ScopeMissing",
    "ServiceFault",
    "SlowSender",
    "SourceUnreachable",
    "StorageFull",
    "TensorUnreadable",
    "TextTooLong",
    "TextUnreadable",
    "TooLarge",
    "TooMany",
    "TooManyFailed",
    "Unavailable",
    "Unsupported",
    "UnsupportedFormat",
    "UnsupportedImage",
    "WeightsExternalReference",
    "WeightsMalformed",
    "WeightsShapeMismatch",
]
