"""Limits: every bound of the service.

A limit is checked before the work that it bounds, from sizes that are known beforehand. Each field is a setting
(`LAYERSCOPE_LIMITS__<NAME>`), and `/v1/limits` and the documentation show its metadata.
"""

from dataclasses import dataclass, field

MIB = 1024 * 1024


def _limit(default: int, unit: str, meaning: str) -> int:
    value: int = field(default=default, metadata={"unit": unit, "meaning": meaning})
    return value


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """The limits in force. All are integers above zero; the metadata of each field give its unit and meaning."""

    header_bytes: int = _limit(16 * 1024, "bytes", "longest request line and headers, together")
    sender_milliseconds: int = _limit(
        10_000,
        "milliseconds",
        "longest wait for the headers of a request, and for each further 64 KiB of its body or its end",
    )
    body_bytes: int = _limit(64 * MIB, "bytes", "longest request body that is read")
    form_parts: int = _limit(256, "parts", "most parts in one multipart form")
    images_per_request: int = _limit(64, "images", "most images in one request")
    image_pixels: int = _limit(40_000_000, "pixels", "largest image that is decoded, width x height")
    image_side: int = _limit(16_384, "pixels", "longest side of an image that is decoded")
    jpeg_scans: int = _limit(32, "scans", "most scans of a progressive JPEG that is decoded")
    selectors: int = _limit(256, "selectors", "most layer selectors in one request")
    run_bytes: int = _limit(
        2048 * MIB,
        "bytes",
        "most memory to compute one request in: the layers asked for and those on the way",
    )
    working_bytes: int = _limit(
        4096 * MIB, "bytes", "most memory in which all requests together are computed and answered"
    )
    response_bytes: int = _limit(512 * MIB, "bytes", "largest binary answer")
    json_elements: int = _limit(1_000_000, "values", "most tensor values in one JSON answer")
    picture_pixels: int = _limit(32_000_000, "pixels", "largest picture that is rendered, width x height")
    pending_requests: int = _limit(64, "requests", "most requests being worked on or waiting")
    requests_per_key: int = _limit(
        32, "requests", "most requests of one API key being answered at the same time"
    )
    batch_rows: int = _limit(
        32,
        "images",
        "most images of several requests run through a model together; without a GPU also no more than each of the two"
        " workers has processors",
    )
    batch_bytes: int = _limit(256 * MIB, "bytes", "largest values computed together for several requests")
    deadline_milliseconds: int = _limit(
        30_000, "milliseconds", "longest a request may take from when its body is there, waiting included"
    )
    attribution_runs: int = _limit(
        10_000,
        "runs",
        "most runs of a model, or of its gradient, for one attribution of all images of a request",
    )
    attribution_milliseconds: int = _limit(
        300_000, "milliseconds", "longest that one attribution may take besides"
    )
    watched_layers: int = _limit(
        32, "layers", "most layers of one model that are watched, see the setting `watch_layers`"
    )
    plan_bytes: int = _limit(
        512 * MIB, "bytes", "memory for compiled plans, one a choice of layers, kept per model"
    )
    activation_cache_bytes: int = _limit(
        512 * MIB, "bytes", "memory for activations kept for the next request"
    )
    image_store_bytes: int = _limit(256 * MIB, "bytes", "memory for stored images")
    image_store_seconds: int = _limit(3_600, "seconds", "how long a stored image is kept after its last use")
    models_bytes: int = _limit(
        65_536 * MIB,
        "bytes",
        "most memory that the weights of loaded models take together; those that were not used for longest make way",
    )
    pending_changes: int = _limit(
        8, "requests", "most requests that load, unload, upload or remove models being worked on or waiting"
    )
    model_file_bytes: int = _limit(2048 * MIB, "bytes", "longest model file that is accepted")
    model_config_bytes: int = _limit(16 * MIB, "bytes", "longest configuration of a model that is accepted")
    model_layers: int = _limit(
        4_000, "layers", "most layers of a model that is accepted, nested ones included"
    )
    model_parameters: int = _limit(500_000_000, "numbers", "most parameters of a model that is accepted")
    model_check_seconds: int = _limit(180, "seconds", "longest that checking a model file may take")
    model_open_seconds: int = _limit(120, "seconds", "longest that opening a model from a stranger may take")
    model_open_bytes: int = _limit(
        8192 * MIB, "bytes", "most address space for opening a model from a stranger"
    )
    model_store_bytes: int = _limit(
        20_480 * MIB, "bytes", "most that the accepted models of a directory may take on disk together"
    )
