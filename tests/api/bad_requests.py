"""Requests that cannot be answered, each with the status, the code and the words of its answer."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from answers_read import npy
from requests_made import (
    ACTIVATIONS,
    FEATURE_MAP,
    FORM,
    JSON,
    NPY,
    PNG,
    PREDICTIONS,
    SEVEN,
    SEVEN_BASE64,
    SEVEN_ID,
    truncated_jpeg,
)


def get(url: str, **params: Any) -> dict[str, Any]:
    return {"method": "GET", "url": url, "params": params}


def stored(url: str, **params: Any) -> dict[str, Any]:
    return get(url, image=SEVEN_ID, **params)


def sent(
    content: bytes | Iterator[bytes], headers: dict[str, str], url: str = ACTIVATIONS, **params: Any
) -> dict[str, Any]:
    return {"method": "POST", "url": url, "content": content, "headers": headers, "params": params}


def json_text(text: str) -> dict[str, Any]:
    return sent(text.encode(), JSON)


def in_json(**document: Any) -> dict[str, Any]:
    return {"method": "POST", "url": ACTIVATIONS, "json": {"images": [{"id": SEVEN_ID}], **document}}


def form(files: Any, url: str = ACTIVATIONS, **fields: Any) -> dict[str, Any]:
    return {"method": "POST", "url": url, "files": files, "data": fields}


NAMES = [
    pytest.param(get("/v1/models/none"), 404, "model_not_found", "no model 'none'", id="model"),
    pytest.param(get("/v1/models/digits@7"), 404, "model_not_found", "no version or label '7'", id="version"),
    pytest.param(get("/v1/models/digits@" + "9" * 150), 404, "model_not_found", "version", id="huge version"),
    pytest.param(get("/v1/models/digits@²"), 404, "model_not_found", "label", id="superscript version"),
    pytest.param(get("/v1/models/" + "x" * 300), 422, "option_invalid", "model", id="long model name"),
    pytest.param(get("/v1/models/%00"), 404, "model_not_found", "no model", id="zero byte in a name"),
    pytest.param(get("/v1/models/digits/"), 404, "not_found", "nothing", id="slash at the end"),
    pytest.param(get("/v1/models/..%2f..%2fetc%2fpasswd"), 404, "not_found", "nothing", id="path in a name"),
    pytest.param(stored("/v1/models/none/activations"), 404, "model_not_found", "none", id="model of a run"),
    pytest.param(
        stored(ACTIVATIONS, layers="cnv1"), 422, "layer_not_found", "Did you mean conv1", id="layer"
    ),
    pytest.param(stored(ACTIVATIONS, layers="conv1,zzz"), 422, "layer_not_found", "'zzz'", id="second layer"),
    pytest.param(stored(ACTIVATIONS, layers="conv1:1"), 422, "layer_not_found", "conv1:1", id="call"),
    pytest.param(
        stored(ACTIVATIONS, layers="pool1@preactivation"), 422, "layer_not_found", "sites", id="site"
    ),
    pytest.param(
        stored(ACTIVATIONS, layers="conv1@x"), 400, "invalid_address", "not a site", id="unknown site"
    ),
    pytest.param(
        stored(ACTIVATIONS, layers="conv1:x"), 400, "invalid_address", "write path", id="no address"
    ),
    pytest.param(stored(ACTIVATIONS, layers="index:x"), 400, "invalid_selector", "index:3", id="index"),
    pytest.param(stored(ACTIVATIONS, layers="re:("), 400, "invalid_selector", "RE2", id="pattern"),
    pytest.param(stored(ACTIVATIONS, layers="[z-a]*"), 400, "invalid_selector", "pattern", id="glob"),
    pytest.param(
        stored(ACTIVATIONS, layers="re:((a{1,999}){1,999}){1,999}"),
        400,
        "invalid_selector",
        "RE2",
        id="pattern that explodes",
    ),
    pytest.param(
        stored(ACTIVATIONS, layers="re:(x+x+)+y"),
        422,
        "layer_not_found",
        "no layer",
        id="pattern that backtracks",
    ),
    pytest.param(
        stored(ACTIVATIONS, layers="*?" * 400 + "z"), 422, "layer_not_found", "no layer", id="many wildcards"
    ),
    pytest.param(stored(ACTIVATIONS, layers="x" * 2000), 400, "invalid_selector", "2000", id="long selector"),
    pytest.param(
        stored(ACTIVATIONS, layers="\x00\r\n\u202e💥"),
        422,
        "layer_not_found",
        "no layer",
        id="odd characters",
    ),
    pytest.param(stored(ACTIVATIONS, layers=""), 400, "invalid_selector", "no layer", id="empty selector"),
    pytest.param(
        stored(ACTIVATIONS, layers=" , "), 400, "invalid_selector", "no layer", id="blank selectors"
    ),
    pytest.param(in_json(layers=[]), 400, "invalid_selector", "no layer", id="no selectors"),
    pytest.param(
        stored(ACTIVATIONS, layers=["conv1"] * 257), 413, "too_many", "257.*256", id="many selectors"
    ),
    pytest.param(
        get("/v1/models/digits/layers", layers=["*"] * 257),
        413,
        "too_many",
        "257.*256",
        id="many selectors of a list",
    ),
    pytest.param(
        get("/v1/models/digits/layers", layers=""),
        400,
        "invalid_selector",
        "no layer",
        id="empty selector of a list",
    ),
    pytest.param(
        stored(FEATURE_MAP, layer=""), 400, "invalid_selector", "no layer", id="empty layer of a picture"
    ),
    pytest.param(
        stored(FEATURE_MAP, layer="conv*", channel=20),
        422,
        "channel_not_found",
        "conv1 has 16 channels",
        id="channel of one of the layers of a picture",
    ),
    pytest.param(stored(FEATURE_MAP), 422, "option_invalid", "layer is missing", id="no layer of a picture"),
    pytest.param(get(ACTIVATIONS, image="sha256-0"), 404, "image_not_found", "sha256-0", id="image"),
    pytest.param(
        get(ACTIVATIONS, image="../../etc/passwd"),
        404,
        "image_not_found",
        "Send it again",
        id="path as image",
    ),
    pytest.param(get("/v1/images/sha256-0"), 404, "image_not_found", "Send it again", id="described image"),
    pytest.param(get(ACTIVATIONS), 422, "input_mismatch", "no image", id="no image"),
    pytest.param(get("/v1/model"), 404, "not_found", "/docs", id="route"),
    pytest.param({"method": "PUT", "url": "/v1/models"}, 405, "method_not_allowed", "method", id="method"),
]

OPTIONS = [
    pytest.param(stored(ACTIVATIONS, layer="conv1"), 422, "option_invalid", "no option 'layer'.*layers", id="near an option"),
    pytest.param(stored(ACTIVATIONS, zzz="1"), 422, "option_invalid", "no option 'zzz'.*There are", id="unknown"),
    pytest.param(stored(ACTIVATIONS, **{"x" * 5000: "1"}), 422, "option_invalid", "no option", id="unknown and long"),
    pytest.param(stored(ACTIVATIONS, **{"": "1"}), 422, "option_invalid", "no option ''", id="without name"),
    pytest.param(stored(FEATURE_MAP, layer=["conv1", "conv2"]), 400, "invalid_request", "layer is given twice", id="twice"),
    pytest.param(stored(FEATURE_MAP, layer="conv1", channel="16"), 422, "channel_not_found", "16 channels", id="channel"),
    pytest.param(stored(FEATURE_MAP, layer="conv1", channel="-1"), 422, "option_invalid", "channel", id="channel -1"),
    pytest.param(stored(FEATURE_MAP, layer="conv1", channel="1e308"), 422, "option_invalid", "channel", id="channel 1e308"),
    pytest.param(stored(FEATURE_MAP, layer="conv1", channel="9" * 5000), 422, "option_invalid", "channel", id="channel of many digits"),
    pytest.param(stored(FEATURE_MAP, layer="conv1", channel=str(10**30)), 422, "option_invalid", "channel", id="channel 10^30"),
    pytest.param(stored(FEATURE_MAP, layer="conv1", channel="1", channels="2"), 422, "option_invalid", "not both", id="channel and channels"),
    pytest.param(stored(FEATURE_MAP, layer="conv1", channels="0-999999999"), 422, "option_invalid", "65536", id="channels"),
    pytest.param(stored(FEATURE_MAP, layer="conv1", channels="top:0"), 422, "option_invalid", "top:k", id="top 0"),
    pytest.param(stored(FEATURE_MAP, layer="conv1", scale="1000000000"), 422, "option_invalid", "scale must be from 1 to 64", id="scale"),
    pytest.param(stored(FEATURE_MAP, layer="conv1", columns=str(10**40), scale="x"), 422, "option_invalid", "scale", id="scale of letters"),
    pytest.param(stored(FEATURE_MAP, layer="conv1", gap="-1"), 422, "option_invalid", "gap", id="gap"),
    pytest.param(stored(FEATURE_MAP, layer="conv1", colormap="__class__"), 422, "option_invalid", "no colormap '__class__'", id="colormap"),
    pytest.param(stored(FEATURE_MAP, layer="conv1", colormap="virids"), 422, "option_invalid", "mean viridis", id="near a colormap"),
    pytest.param(stored(FEATURE_MAP, layer="conv1", colormap="x" * 9000), 422, "option_invalid", "no colormap", id="long colormap"),
    pytest.param(stored(FEATURE_MAP, layer="conv1", range="nan,1"), 422, "option_invalid", "finite", id="range with NaN"),
    pytest.param(stored(FEATURE_MAP, layer="conv1", range="0,1e400"), 422, "option_invalid", "finite", id="infinite range"),
    pytest.param(stored(FEATURE_MAP, layer="conv1", range="1"), 422, "option_invalid", "range", id="half a range"),
    pytest.param(stored(FEATURE_MAP, layer="conv1", percentile="99,1"), 422, "option_invalid", "lower one first", id="percentile"),
    pytest.param(stored(FEATURE_MAP, layer="conv1", normalize="batch"), 422, "option_invalid", "normalize", id="normalize"),
    pytest.param(stored(ACTIVATIONS, layers="conv1", region="0,0,99,99"), 422, "option_invalid", "28x28", id="region"),
    pytest.param(stored(ACTIVATIONS, layers="conv1", region=f"0,0,{10**30},1"), 422, "option_invalid", "28x28", id="huge region"),
    pytest.param(stored(ACTIVATIONS, layers="dense", region="0,0,1,1"), 422, "option_invalid", "rows and columns", id="region of a vector"),
    pytest.param(stored(ACTIVATIONS, stride="0"), 422, "option_invalid", "stride", id="stride"),
    pytest.param(stored(ACTIVATIONS, dtype="object"), 422, "option_invalid", "dtype", id="dtype"),
    pytest.param(stored(ACTIVATIONS, format="pickle"), 422, "option_invalid", "format", id="format"),
    pytest.param(stored(ACTIVATIONS, values="maybe"), 422, "option_invalid", "values", id="values"),
    pytest.param(stored(ACTIVATIONS, layers="all", format="npy"), 415, "unsupported_format", "one layer, not 9", id="npy of several"),
    pytest.param(stored(ACTIVATIONS, layers="dense", format="npz", values="false"), 422, "option_invalid", "values=false", id="npz of nothing"),
    pytest.param({**stored(ACTIVATIONS), "headers": {"Accept": "text/html"}}, 406, "not_acceptable", "Accept", id="accept"),
    pytest.param(stored(PREDICTIONS, top="0"), 422, "option_invalid", "top", id="top"),
    pytest.param(stored(PREDICTIONS, top="1e9"), 422, "option_invalid", "top", id="top 1e9"),
    pytest.param(get(f"/v1/images/{SEVEN_ID}/thumbnail.png", side="0"), 422, "option_invalid", "side", id="thumbnail"),
]  # fmt: skip

BODIES = [
    pytest.param(sent(b"hello", PNG), 415, "unsupported_image", "not an image", id="text as image"),
    pytest.param(sent(truncated_jpeg(), {"Content-Type": "image/jpeg"}), 422, "image_unreadable", "cut off", id="truncated JPEG"),
    pytest.param(sent(SEVEN[:-20], PNG), 422, "image_unreadable", "damaged", id="truncated PNG"),
    pytest.param(sent(b"", PNG), 415, "unsupported_image", "not an image", id="empty body"),
    pytest.param(sent(b"", JSON), 400, "invalid_request", "not valid JSON", id="empty JSON"),
    pytest.param(sent(SEVEN, {}), 415, "unsupported_format", "without Content-Type", id="no content type"),
    pytest.param(sent(SEVEN, {"Content-Type": "text/html"}), 415, "unsupported_format", "text/html", id="content type"),
    pytest.param(sent(SEVEN, {"Content-Type": "x" * 5000}), 415, "unsupported_format", "Send an image", id="long content type"),
    pytest.param(sent(b"image=1", {"Content-Type": "application/x-www-form-urlencoded"}), 415, "unsupported_format", "multipart", id="urlencoded form"),
    pytest.param(sent(SEVEN, PNG, image=SEVEN_ID), 400, "invalid_request", "not both", id="image twice"),
    pytest.param(in_json(image=SEVEN_ID), 400, "invalid_request", "not both", id="image twice in JSON"),
    pytest.param(form([("image", SEVEN)], image=SEVEN_ID), 400, "invalid_request", "not both", id="image twice in a form"),
    pytest.param(form([("picture", SEVEN)]), 422, "input_mismatch", "takes the inputs input", id="unknown input"),
    pytest.param(form([("image", SEVEN)] * 65), 413, "too_many", "65.*64", id="many images"),
    pytest.param(form([("image", b"")] * 257), 413, "too_many", "256", id="many files"),
    pytest.param(form([("image", SEVEN)], **{f"a{number}": "1" for number in range(257)}), 413, "too_many", "256", id="many fields"),
    pytest.param(form([("image", b"")] * 200, **{f"a{number}": "1" for number in range(200)}), 413, "too_many", "256", id="many parts"),
    pytest.param(form([("image", SEVEN)], layers="x" * (2 << 20)), 413, "body_too_large", "field", id="long field"),
    pytest.param(form([("image", SEVEN), ("image", SEVEN)], url="/v1/images"), 400, "invalid_request", "one file", id="two images to store"),
    pytest.param(form([("picture", SEVEN)], url="/v1/images"), 400, "invalid_request", "named image", id="misnamed image to store"),
    pytest.param(sent(b"\x93NUMPY", NPY, url="/v1/images"), 422, "tensor_unreadable", "not a .npy file", id="damaged tensor to store"),
    pytest.param(sent(b"hello", PNG, url="/v1/images"), 415, "unsupported_image", "not an image", id="text to store"),
    pytest.param(sent(b"--y\r\n\r\n", FORM), 400, "invalid_request", "multipart", id="another boundary"),
    pytest.param(sent(b"--x\r\nContent-Disposition: form-data; name=image; filename=a\r\n\r\nabc", FORM), 400, "invalid_request", "multipart", id="no last boundary"),
    pytest.param(sent(b"--x\r\nnonsense\r\n\r\n", FORM), 400, "invalid_request", "multipart", id="broken part"),
    pytest.param(sent(b"--x\r\nX: y\r\n\r\nabc\r\n--x--\r\n", FORM), 400, "invalid_request", "multipart", id="part without name"),
    pytest.param(sent(b"abc", {"Content-Type": "multipart/form-data"}), 400, "invalid_request", "multipart", id="no boundary"),
    pytest.param(sent(b"", FORM), 400, "invalid_request", "multipart", id="empty form"),
    pytest.param(sent(npy(np.ones((28, 28, 1)))[:-9], NPY), 422, "tensor_unreadable", "bytes", id="truncated tensor"),
    pytest.param(sent(npy(np.array([{}], object)), NPY), 422, "tensor_unreadable", "numbers", id="pickled tensor"),
    pytest.param(sent(npy(np.ones((27, 28, 1))), NPY), 422, "input_mismatch", "28x28x1, not 27x28x1", id="tensor of another shape"),
    pytest.param(sent(npy(np.ones((65, 28, 28, 1))), NPY), 413, "too_many", "65.*64", id="batch of 65"),
    pytest.param(sent(npy(np.ones((0, 28, 28, 1))), NPY), 422, "input_mismatch", "no image", id="empty batch"),
    pytest.param(sent(npy(np.ones((2, 28, 28, 1))), NPY, preprocess="true"), 422, "input_mismatch", "uint8", id="preprocessing of numbers"),
    pytest.param(sent(b"", {**PNG, "Content-Length": str(65 << 20)}), 413, "body_too_large", "68,157,440.*67,108,864", id="65 MB declared"),
    pytest.param(sent(b"", {**JSON, "Content-Length": str(65 << 20)}), 413, "body_too_large", "67,108,864", id="65 MB of JSON declared"),
]  # fmt: skip

JSON_BODIES = [
    pytest.param(json_text('{"images": NaN}'), 400, "invalid_request", "NaN", id="NaN"),
    pytest.param(json_text('{"layers": ["\\ud800"]}'), 400, "invalid_request", "JSON", id="lone surrogate"),
    pytest.param(sent(b'{"layers": ["\xff"]}', JSON), 400, "invalid_request", "UTF-8", id="not UTF-8"),
    pytest.param(json_text('{"images": [{"id": "a"}], "stride": 1e400}'), 400, "invalid_request", "JSON", id="1e400"),
    pytest.param(json_text("[" * 100_000), 413, "too_many", "JSON", id="deep nesting"),
    pytest.param(json_text('{"images": ' + "[" * 1010 + "]" * 1010 + "}"), 400, "invalid_request", "", id="nesting of images"),
    pytest.param(json_text('{"channels": ' + "[" * 500 + "]" * 500 + "}"), 422, "option_invalid", "channels", id="nesting of an option"),
    pytest.param(json_text('{"channels": ' + '{"a":' * 500 + "1" + "}" * 500 + "}"), 422, "option_invalid", "channels", id="objects in an option"),
    pytest.param(json_text('{"images": [{"id": "a"}], "top": 1, "top": 2}'), 400, "invalid_request", "'top' twice", id="duplicate keys"),
    pytest.param(json_text('{"images": [{"id": "a", "id": "b"}]}'), 400, "invalid_request", "'id' twice", id="duplicate keys inside"),
    pytest.param(json_text("[]"), 400, "invalid_request", "object", id="list"),
    pytest.param(json_text("null"), 400, "invalid_request", "object", id="null"),
    pytest.param(json_text('"a"'), 400, "invalid_request", "object", id="text"),
    pytest.param(json_text("{}"), 422, "input_mismatch", "no image", id="empty object"),
    pytest.param(json_text('{"images": []}'), 422, "input_mismatch", "no image", id="no images"),
    pytest.param(json_text('{"images": null}'), 400, "invalid_request", "must be a list", id="null images"),
    pytest.param(json_text('{"images": {}}'), 400, "invalid_request", "list", id="images as an object"),
    pytest.param(json_text('{"inputs": []}'), 400, "invalid_request", "inputs must be an object", id="inputs as a list"),
    pytest.param(json_text('{"inputs": 0}'), 400, "invalid_request", "inputs must be an object", id="inputs as a number"),
    pytest.param(json_text('{"inputs": {}}'), 422, "input_mismatch", "no image", id="no inputs"),
    pytest.param(json_text('{"inputs": {}, "images": []}'), 400, "invalid_request", "not images and inputs", id="images and inputs"),
    pytest.param(json_text('{"inputs": {"left": []}}'), 422, "input_mismatch", "takes the inputs", id="unknown input"),
    pytest.param(json_text('{"images": ["a"]}'), 400, "invalid_request", "Each image", id="image as text"),
    pytest.param(json_text('{"images": [{"id": 5}]}'), 400, "invalid_request", "Each image", id="id as a number"),
    pytest.param(json_text('{"images": [{"url": "http://127.0.0.1/"}]}'), 400, "invalid_request", "Each image", id="url"),
    pytest.param(json_text('{"images": [{"base64": "a"}]}'), 400, "invalid_request", "base64 is damaged", id="base64"),
    pytest.param(json_text('{"images": [{"base64": "%s"}]}' % ("é" + SEVEN_BASE64)), 400, "invalid_request", "base64 is damaged", id="base64 with letters"),
    pytest.param(json_text('{"images": [{"base64": ""}]}'), 415, "unsupported_image", "not an image", id="empty base64"),
    pytest.param(in_json(layers={"a": 1}), 422, "option_invalid", "layers", id="layers as an object"),
    pytest.param(in_json(layers=[1]), 422, "option_invalid", "layers", id="layers as numbers"),
    pytest.param(in_json(layers=["\x00"]), 422, "layer_not_found", "no layer", id="zero byte"),
    pytest.param(in_json(channels=["a"]), 422, "option_invalid", "channels", id="channels as letters"),
    pytest.param(in_json(channels=None), 422, "option_invalid", "channels", id="channels as null"),
    pytest.param(in_json(channels=[]), 422, "option_invalid", "channels", id="no channels"),
    pytest.param(in_json(channels=[True]), 422, "option_invalid", "channels", id="channels as booleans"),
    pytest.param(in_json(channels=[-1]), 422, "option_invalid", "channels", id="negative channels"),
    pytest.param(in_json(region=[0, 0, 1]), 422, "option_invalid", "region", id="three numbers"),
    pytest.param(in_json(__class__=1), 422, "option_invalid", "no option '__class__'", id="dunder"),
    pytest.param({**in_json(layers=["dense"]), "params": {"layers": "conv1", "zzz": "1"}}, 422, "option_invalid", "zzz", id="option in the query"),
]  # fmt: skip

BAD_REQUESTS = [*NAMES, *OPTIONS, *BODIES, *JSON_BODIES]
