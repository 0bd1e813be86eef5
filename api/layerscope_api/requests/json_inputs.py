"""Inputs in JSON bodies: images by id or in base64, texts, and the ids of tokens."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from layerscope.errors import InvalidRequest
from layerscope.execution.inputs import ANY_INPUT
from layerscope.limits import Limits
from layerscope.text import Text, ids_of, require_short
from layerscope_api.requests.json_body import JsonBody


@dataclass(frozen=True)
class InlineBytes:
    """Bytes in the request's body: an image file or a .npy tensor, told apart by their first bytes."""

    data: bytes


@dataclass(frozen=True)
class NamedImage:
    """A stored image by its id, or one of a data set, such as `dataset:val/17`."""

    name: str


@dataclass(frozen=True)
class InlineText:
    """A text in the request's body, or the ids of its tokens."""

    text: Text


Given = InlineBytes | InlineText | NamedImage

Inputs = Mapping[str, list[Given]]
"""The images and tensors of a request by the name of the model's input, not decoded yet."""


def read_json_inputs(data: bytes, limits: Limits) -> tuple[dict[str, Any], Inputs]:
    """Take the options and the inputs of a JSON body apart.

    Raises:
        InvalidRequest: it is no JSON, or an input does not have its form.
        TooMany: it has too many parts.
    """
    body = JsonBody(data, limits)
    document = body.document
    given = {name: document.pop(name) for name in ("images", "inputs", "text", "tokens") if name in document}
    if len(given) > 1:
        raise InvalidRequest(
            "Give one of images (for a model with one input), inputs (by name), text and tokens, not"
            f" {' and '.join(given)}."
        )
    read = {name: images for form, value in given.items() for name, images in _READERS[form](value, body)}
    body.require_all_decoded()
    return document, read


def read_only_text(data: bytes, limits: Limits) -> Text:
    """Read a JSON body with one text and nothing else.

    Raises:
        InvalidRequest: it is no such body.
        TextTooLong: it is longer than a text may be.
    """
    require_short(len(data), limits)
    fields, inputs = read_json_inputs(data, limits)
    texts = [each.text for each in inputs.get(ANY_INPUT, []) if isinstance(each, InlineText)]
    if fields or len(texts) != 1:
        raise InvalidRequest('The JSON must have one text, as {"text": ["…"]} or {"tokens": [[…]]}.')
    return texts[0]


def _read_inputs(inputs: object, body: JsonBody) -> Iterator[tuple[str, list[Given]]]:
    if not isinstance(inputs, dict):
        raise InvalidRequest("inputs must be an object: a list of images for each input's name.")
    for name, images in inputs.items():
        yield name, _read_images(images, body)


def _read_texts(texts: object, body: JsonBody) -> list[Given]:
    if not isinstance(texts, list) or not all(isinstance(each, str) for each in texts):
        raise InvalidRequest('text must be a list of texts, such as ["a film to remember"].')
    return [InlineText(body.unescaped(each)) for each in texts]


def _read_tokens(texts: object) -> list[Given]:
    if not isinstance(texts, list):
        raise InvalidRequest("tokens must be a list with the ids of each text, such as [[2, 17, 3]].")
    return [InlineText(ids_of(each)) for each in texts]


_READERS: Mapping[str, Callable[[object, JsonBody], Iterable[tuple[str, list[Given]]]]] = {
    "images": lambda images, body: [(ANY_INPUT, _read_images(images, body))],
    "inputs": _read_inputs,
    "text": lambda texts, body: [(ANY_INPUT, _read_texts(texts, body))],
    "tokens": lambda texts, _: [(ANY_INPUT, _read_tokens(texts))],
}


def _read_images(images: object, body: JsonBody) -> list[Given]:
    if not isinstance(images, list):
        raise InvalidRequest('Images must be a list of {"id": …} or {"base64": …}.')
    return [_read_image(image, body) for image in images]


def _read_image(image: object, body: JsonBody) -> Given:
    match image:
        case {"id": str(name), **rest} if not rest:
            return NamedImage(name)
        case {"base64": str(text), **rest} if not rest:
            return InlineBytes(body.decoded(text))
    raise InvalidRequest('Each image must be {"id": "sha256-…"} or {"base64": "…"}.')
