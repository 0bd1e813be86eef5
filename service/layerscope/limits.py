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

    connections: int = _limit(
        768,
        "connections",
        "most open connections of a process, and never more than three quarters of the files that it may open; one more"
        " closes the one that was idle for longest",
    )
    header_bytes: int = _limit(16 * 1024, "bytes", "longest request line and headers together")
    sender_milliseconds: int = _limit(
        10_000,
        "milliseconds",
        "longest wait for the headers of a request, for each further 64 KiB of its body, or a 60th of what is held of it"
        " if that is more, and for the end of the body",
    )
    receiver_milliseconds: int = _limit(
        10_000,
        "milliseconds",
        "longest wait for a client to take each further 64 KiB of its answer, and its end; the whole answer may take 61"
        " times as long",
    )
    body_bytes: int = _limit(64 * MIB, "bytes", "longest request body")
    received_bytes: int = _limit(
        1024 * MIB,
        "bytes",
        "most memory for the bodies of all requests together, as far as they have come; each counts twice, as it comes and"
        " as it is read; an eighth is for keys that have little of it",
    )
    key_percent: int = _limit(
        50,
        "percent",
        "most of `received_bytes`, of `long_requests`, of `waiting_jobs`, and of `working_bytes` for several requests, that one API key has at"
        " once",
    )
    form_parts: int = _limit(256, "parts", "most parts in one multipart form")
    json_parts: int = _limit(
        50_000,
        "parts",
        "most quotes, commas and opening brackets in the JSON of one request, counted before it is parsed",
    )
    images_per_request: int = _limit(64, "images", "most images in one request")
    text_bytes: int = _limit(256 * 1024, "bytes", "longest texts of one request together, in UTF-8")
    text_tokens: int = _limit(
        65_536, "tokens", "most tokens of the texts of one request together, padding included"
    )
    image_pixels: int = _limit(40_000_000, "pixels", "largest image that is decoded, width x height")
    image_side: int = _limit(16_384, "pixels", "longest side of an image that is decoded")
    jpeg_scans: int = _limit(32, "scans", "most scans of a progressive JPEG that is decoded")
    edits: int = _limit(32, "edits", "most edited layers in one request")
    selectors: int = _limit(256, "selectors", "most layer selectors in one request")
    run_bytes: int = _limit(
        2048 * MIB,
        "bytes",
        "most memory to compute the layers of one request, estimated from every tensor of the graph that is alive at the same"
        " time; what heat maps take besides is bounded by `working_bytes`",
    )
    data_sized_bytes: int = _limit(
        64 * MIB,
        "bytes",
        "largest value inside a model whose size is a number in its input, such as one bin for each number; uploads with such"
        " values are refused",
    )
    working_bytes: int = _limit(
        4096 * MIB,
        "bytes",
        "most memory to decode, compute and answer all requests together, with answers that are not taken yet; bodies,"
        " models, plans and caches are counted apart",
    )
    response_bytes: int = _limit(512 * MIB, "bytes", "largest binary answer")
    json_elements: int = _limit(
        1_000_000,
        "values",
        "most tensor values, figures of statistics or pairs of layers in one JSON answer, and about as many values in the JSON of"
        " one inference request",
    )
    picture_pixels: int = _limit(32_000_000, "pixels", "largest picture that is drawn, width x height")
    pending_requests: int = _limit(128, "requests", "most requests that run or wait, long ones not counted")
    short_milliseconds: int = _limit(
        1_000,
        "milliseconds",
        "longest time of the runs of a short request, estimated from the graph; longer ones, and those of unknown length,"
        " are long: they have threads and queues of their own",
    )
    long_requests: int = _limit(32, "requests", "most long requests that run or wait, besides the others")
    requests_per_key: int = _limit(32, "requests", "most concurrent requests of one API key")
    refusals_per_second: int = _limit(
        20,
        "refusals",
        "most refusals of one API key each second; a key that has more waits before its next requests are read, at most 5"
        " seconds. A refused body counts once more for each MiB",
    )
    batch_rows: int = _limit(
        32,
        "images",
        "most images of several requests in one run of a model; without a GPU, also no more than the processors"
        " of each of the two worker threads",
    )
    batch_bytes: int = _limit(256 * MIB, "bytes", "largest values that one run computes for several requests")
    deadline_milliseconds: int = _limit(
        30_000,
        "milliseconds",
        "longest time from the end of a request's body to its answer, waiting included; attributions, sweeps and comparisons have"
        " `attribution_milliseconds` besides, and changes of models bounds of their own",
    )
    attribution_runs: int = _limit(
        10_000,
        "runs",
        "most runs of a model, or of its gradient, for one attribution or sweep of all images of a request",
    )
    attribution_milliseconds: int = _limit(
        300_000, "milliseconds", "longest time of one attribution or sweep, in addition to the deadline"
    )
    stuck_milliseconds: int = _limit(
        300_000,
        "milliseconds",
        "longest run in the process that serves; beyond it, the process reports that it is not alive, and a worker is replaced",
    )
    running_jobs: int = _limit(
        1, "jobs", "most jobs that run at once, of all services that share a folder of jobs"
    )
    waiting_jobs: int = _limit(
        64, "jobs", "most jobs that wait for others; one API key has at most `key_percent` of them"
    )
    kept_jobs: int = _limit(
        200,
        "jobs",
        "most jobs that are listed; beyond it, those are forgotten that ended first, but not their results",
    )
    watched_layers: int = _limit(
        32, "layers", "most watched layers of one model, see the setting `watch_layers`"
    )
    plan_bytes: int = _limit(
        512 * MIB, "bytes", "memory for the compiled plans of each model, one plan for each choice of layers"
    )
    data_sets: int = _limit(1_000, "data sets", "most registered data sets")
    data_set_images: int = _limit(1_000_000, "images", "most images of one registered data set")
    data_set_labels: int = _limit(50_000, "labels", "most different labels of one registered data set")
    label_table_bytes: int = _limit(
        64 * MIB, "bytes", "longest .csv file, or column of a table, with the labels of a data set"
    )
    page_rows: int = _limit(1_000, "rows", "most data sets, or images of one, in one page of a list")
    activation_cache_bytes: int = _limit(512 * MIB, "bytes", "memory for cached activations")
    image_store_bytes: int = _limit(256 * MIB, "bytes", "memory for stored images")
    image_store_seconds: int = _limit(3_600, "seconds", "how long a stored image is kept after its last use")
    models_bytes: int = _limit(
        65_536 * MIB,
        "bytes",
        "most memory for the weights of all loaded models; beyond it, the models unused for longest are unloaded",
    )
    pending_changes: int = _limit(
        8, "requests", "most requests that load, unload, upload or remove models and run or wait"
    )
    model_file_bytes: int = _limit(2048 * MIB, "bytes", "longest model file that is accepted")
    model_config_bytes: int = _limit(16 * MIB, "bytes", "longest configuration of a model that is accepted")
    model_layers: int = _limit(
        4_000, "layers", "most layers of a model that is accepted, nested layers included"
    )
    model_parameters: int = _limit(500_000_000, "numbers", "most parameters of a model that is accepted")
    model_check_seconds: int = _limit(180, "seconds", "longest time to check a model file")
    model_open_seconds: int = _limit(120, "seconds", "longest time to open an uploaded model")
    model_load_seconds: int = _limit(600, "seconds", "longest time to open a model that was not uploaded")
    model_open_bytes: int = _limit(8192 * MIB, "bytes", "most address space to open an uploaded model")
    prepared_bytes: int = _limit(
        10_240 * MIB,
        "bytes",
        "most disk space for opened models that are kept for later loads, see the setting `keep_prepared`",
    )
    model_store_bytes: int = _limit(
        20_480 * MIB,
        "bytes",
        "most disk space for the accepted models of a directory together with the uploads in progress, each as large as what"
        " came or what it unpacks to; while a file is checked, there may be up to three copies of it besides",
    )
