"""Mapping of error answers to exceptions: by code, or by status where this version does not know the code."""

from typing import Any

import httpx2

from layerscope_client import errors

_BY_CODE: dict[str, type[errors.LayerscopeError]] = {
    "invalid_request": errors.InvalidRequest,
    "invalid_address": errors.InvalidAddress,
    "invalid_selector": errors.InvalidSelector,
    "model_not_found": errors.ModelNotFound,
    "image_not_found": errors.ImageNotFound,
    "place_not_found": errors.PlaceNotFound,
    "data_set_not_found": errors.DataSetNotFound,
    "job_not_found": errors.JobNotFound,
    "model_not_loaded": errors.ModelNotLoaded,
    "control_refused": errors.ControlRefused,
    "job_differs": errors.JobDiffers,
    "input_changed": errors.InputChanged,
    "data_set_exists": errors.DataSetExists,
    "body_too_large": errors.BodyTooLarge,
    "image_too_large": errors.ImageTooLarge,
    "answer_too_large": errors.AnswerTooLarge,
    "too_many": errors.TooMany,
    "text_too_long": errors.TextTooLong,
    "unsupported_image": errors.UnsupportedImage,
    "unsupported_format": errors.UnsupportedFormat,
    "not_acceptable": errors.NotAcceptable,
    "layer_not_found": errors.LayerNotFound,
    "channel_not_found": errors.ChannelNotFound,
    "option_invalid": errors.OptionInvalid,
    "host_refused": errors.HostRefused,
    "key_invalid": errors.KeyInvalid,
    "scope_missing": errors.ScopeMissing,
    "origin_refused": errors.OriginRefused,
    "headers_too_large": errors.HeadersTooLarge,
    "quota_exceeded": errors.QuotaExceeded,
    "slow_sender": errors.SlowSender,
    "draining": errors.Draining,
    "no_picture": errors.NoPicture,
    "data_set_unreadable": errors.DataSetUnreadable,
    "too_many_failed": errors.TooManyFailed,
    "image_unreadable": errors.ImageUnreadable,
    "image_too_complex": errors.ImageTooComplex,
    "tensor_unreadable": errors.TensorUnreadable,
    "text_unreadable": errors.TextUnreadable,
    "no_tokenizer": errors.NoTokenizer,
    "input_mismatch": errors.InputMismatch,
    "not_differentiable": errors.NotDifferentiable,
    "model_refused": errors.ModelRefused,
    "model_unreadable": errors.ModelUnreadable,
    "model_too_large": errors.ModelTooLarge,
    "config_invalid": errors.ConfigInvalid,
    "layer_not_allowed": errors.LayerNotAllowed,
    "weights_external_reference": errors.WeightsExternalReference,
    "weights_malformed": errors.WeightsMalformed,
    "weights_shape_mismatch": errors.WeightsShapeMismatch,
    "queue_full": errors.QueueFull,
    "memory_busy": errors.MemoryBusy,
    "source_unreachable": errors.SourceUnreachable,
    "loader_failed": errors.LoaderFailed,
    "run_failed": errors.RunFailed,
    "run_stuck": errors.RunStuck,
    "model_loading": errors.ModelLoading,
    "deadline_exceeded": errors.DeadlineExceeded,
    "run_cut_off": errors.RunCutOff,
    "storage_full": errors.StorageFull,
}

_BY_STATUS: dict[int, type[errors.LayerscopeError]] = {
    400: errors.Malformed,
    401: errors.Denied,
    403: errors.Denied,
    404: errors.NotFound,
    406: errors.NotAcceptable,
    408: errors.SlowSender,
    409: errors.Conflict,
    413: errors.TooLarge,
    415: errors.Unsupported,
    422: errors.Impossible,
    429: errors.Overloaded,
    431: errors.HeadersTooLarge,
    500: errors.ServiceFault,
    503: errors.Unavailable,
    504: errors.DeadlineExceeded,
    507: errors.StorageFull,
}


def failure(response: httpx2.Response) -> errors.LayerscopeError:
    """The exception for an answer that is not a success, or for a stream that ends with an error.

    The answer can come from a proxy, so that it need not be JSON.
    """
    body = _body(response)
    status = response.status_code
    code = str(body.get("code", f"http_{status}"))
    kind = _BY_CODE.get(code) or _BY_STATUS.get(status, errors.LayerscopeError)
    details = body.get("details")
    return kind(
        code,
        str(body.get("error", f"The service answered {status} {response.reason_phrase}".rstrip() + ".")),
        None if response.is_success else status,
        details if isinstance(details, dict) else None,
        response.headers.get("x-request-id", body.get("request_id")),
    )


def no_answer(error: httpx2.RequestError, base_url: httpx2.URL) -> errors.ConnectionFailed:
    """The exception for a request without an answer. Credentials in the address are left out of its message."""
    cause = type(error).__name__
    address = f"{base_url.scheme}://{base_url.netloc.decode('ascii')}"
    message = f"No answer from {address} ({cause}). Check the address and that the service runs."
    return errors.ConnectionFailed("connection_failed", message, details={"cause": cause})


def unreadable(what: str) -> errors.AnswerUnreadable:
    """The exception for an answer with an unexpected content."""
    message = f"The answer cannot be read: {what}. Is this the address of a Layerscope service?"
    return errors.AnswerUnreadable("answer_unreadable", message)


def _body(response: httpx2.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}
