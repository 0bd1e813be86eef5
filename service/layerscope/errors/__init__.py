"""The errors: one tree, in modules by what the caller can do about them.

    request    change the request, or who sends it
    model      save or change the model's files
    capacity   wait, or ask for less: time, memory or storage is short

Each leaf has a *code*: a stable string that a program can switch on. The message is one sentence that a person can act on;
`details` holds its figures and names. The HTTP service maps branches, not codes, to statuses, except where HTTP itself
tells two codes of a branch apart.

::

    LayerscopeError
    ├── Malformed              the request cannot be understood
    │   ├── InvalidRequest         invalid_request
    │   ├── InvalidAddress         invalid_address
    │   ├── InvalidSelector        invalid_selector
    │   └── HostRefused            host_refused
    ├── Denied                 the caller has no permission
    │   ├── KeyInvalid             key_invalid
    │   ├── ScopeMissing           scope_missing
    │   └── OriginRefused          origin_refused
    ├── NotFound               what the request names does not exist
    │   ├── ModelNotFound          model_not_found
    │   ├── ImageNotFound          image_not_found
    │   ├── PlaceNotFound          place_not_found
    │   ├── DataSetNotFound        data_set_not_found
    │   └── JobNotFound            job_not_found
    ├── Conflict               the request contradicts what is already there
    │   ├── ModelNotLoaded         model_not_loaded
    │   ├── ControlRefused         control_refused
    │   ├── JobDiffers             job_differs
    │   ├── InputChanged           input_changed
    │   └── DataSetExists          data_set_exists
    ├── TooLarge               a bound would be passed; details carry both numbers and ways to stay below
    │   ├── HeadersTooLarge        headers_too_large
    │   ├── BodyTooLarge           body_too_large
    │   ├── ImageTooLarge          image_too_large
    │   ├── AnswerTooLarge         answer_too_large
    │   ├── TooMany                too_many
    │   └── TextTooLong            text_too_long
    ├── Unsupported            a format that the service does not read or write
    │   ├── UnsupportedImage       unsupported_image
    │   ├── UnsupportedFormat      unsupported_format
    │   └── NotAcceptable          not_acceptable
    ├── Impossible             well formed, but it cannot be done
    │   ├── LayerNotFound          layer_not_found
    │   ├── ChannelNotFound        channel_not_found
    │   ├── OptionInvalid          option_invalid
    │   ├── NoPicture              no_picture
    │   ├── ImageUnreadable        image_unreadable
    │   ├── ImageTooComplex        image_too_complex
    │   ├── TensorUnreadable       tensor_unreadable
    │   ├── DataSetUnreadable      data_set_unreadable
    │   ├── TextUnreadable         text_unreadable
    │   ├── NoTokenizer            no_tokenizer
    │   ├── TooManyFailed          too_many_failed
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
    │   ├── LoaderFailed           loader_failed
    │   ├── RunFailed              run_failed
    │   ├── RunStuck               run_stuck
    │   └── Draining               draining
    ├── SlowSender             slow_sender
    ├── DeadlineExceeded       deadline_exceeded
    │   └── RunCutOff              run_cut_off
    └── StorageFull            storage_full

Anything else that escapes is a bug.
"""

from layerscope.errors.base import LayerscopeError, error_with_code
from layerscope.errors.capacity import (
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
from layerscope.errors.model import (
    ConfigInvalid,
    LayerNotAllowed,
    ModelRefused,
    ModelTooLarge,
    ModelUnreadable,
    WeightsExternalReference,
    WeightsMalformed,
    WeightsShapeMismatch,
    model_refusal,
)
from layerscope.errors.request import (
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
    "BodyTooLarge",
    "ChannelNotFound",
    "ConfigInvalid",
    "Conflict",
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
    "error_with_code",
    "model_refusal",
]
