"""Requests for a run: their options, and their inputs as stored images or as one of the forms of a body."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Generic, Protocol, TypeVar

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel
from starlette.datastructures import UploadFile

from layerscope.errors import InputMismatch, InvalidRequest, UnsupportedFormat
from layerscope.execution.inputs import (
    ANY_INPUT,
    ImageSource,
    Source,
    Sources,
    TensorSource,
    TextSource,
)
from layerscope.extraction.catalog import NamedImages
from layerscope.images import is_npy, read_npy
from layerscope.limits import Limits
from layerscope.text import encoded, from_utf8, require_short
from layerscope_api.requests.json_body import JsonBody
from layerscope_api.requests.json_inputs import (
    Given,
    InlineBytes,
    InlineText,
    Inputs,
    NamedImage,
    read_json_inputs,
    read_only_text,
)
from layerscope_api.requests.multipart import read_form, taken
from layerscope_api.schemas.media_types import (
    ANY_TYPE,
    FORM_TYPE,
    IMAGE_TYPES,
    JSON_TYPE,
    NPY_TYPE,
    TEXT_TYPE,
)
from layerscope_api.schemas.option_types import REPEATABLE
from layerscope_api.schemas.options import ImageOptions, read_options

Options = TypeVar("Options", bound=ImageOptions)
Fields = TypeVar("Fields", bound=BaseModel)
Read = TypeVar("Read")

_LONG_BYTES = 1024 * 1024
"""Python lets other threads run while it joins more than this."""


class InPool(Protocol):
    """Calls a function in a worker thread, see `WorkerPool.run`."""

    async def __call__(self, function: Callable[[], Read], /) -> Read:
        """What the function returns."""


@dataclass(frozen=True)
class ParsedRequest(Generic[Options]):
    """The options and the inputs of a request.

    Attributes:
        options: the options.
        inputs: the images and tensors.
        spent: whole seconds of the deadline that parsing took, waiting for a thread included.
    """

    options: Options
    inputs: Inputs
    spent: int = 0

    @cached_property
    def options_text(self) -> str:
        """The options as JSON."""
        return self.options.model_dump_json()

    def sources(self, images: NamedImages, limits: Limits) -> Sources:
        """Fetch named images and read the headers of tensors. It blocks: call it in a worker thread.

        Raises:
            LayerscopeError: an image cannot be fetched, see `NamedImages.source`.
            TensorUnreadable: .npy data is damaged.
        """
        return {
            name: [self._source(each, images, limits) for each in inputs]
            for name, inputs in self.inputs.items()
        }

    def _source(self, each: Given, images: NamedImages, limits: Limits) -> Source:
        if isinstance(each, NamedImage):
            return images.source(each.name, self.options.preprocess)
        if isinstance(each, InlineText):
            return TextSource(each.text)
        if is_npy(each.data):
            return TensorSource(read_npy(each.data, limits), self.options.preprocess)
        return ImageSource(each.data)


async def read_request(
    request: Request, kind: type[Options], limits: Limits, in_pool: InPool
) -> ParsedRequest[Options]:
    """Read the options and the body of a GET or POST.

    Args:
        request: not read yet.
        kind: the model of its options.
        limits: the bounds in force.
        in_pool: parses JSON in a worker thread, under the deadline of requests.

    Raises:
        InvalidRequest: the body does not have the form of its content type.
        OptionInvalid: an option is unknown or invalid.
        TooMany: a form or JSON has too many parts.
        QueueFull, DeadlineExceeded: see `WorkerPool.run`.
        UnsupportedFormat: the content type is none of these forms.
        TextUnreadable, TextTooLong: a text is not UTF-8, or too long.
    """
    options = _collect(request.query_params.multi_items())
    if request.method != "POST":
        return _parse(kind, options, {})
    content_type = content_type_of(request)
    if content_type in {*IMAGE_TYPES, NPY_TYPE, ANY_TYPE}:
        return _parse(kind, options, {ANY_INPUT: [InlineBytes(await read_body(request))]})
    if content_type == TEXT_TYPE:
        return _parse(kind, options, {ANY_INPUT: [InlineText(await _read_text(request, limits))]})
    if content_type == FORM_TYPE:
        fields, inputs = await _read_form(request, limits)
        return _parse(kind, {**options, **fields}, inputs)
    if content_type == JSON_TYPE:
        body = await read_body(request)
        began = time.monotonic()
        fields, inputs = await in_pool(lambda: read_json_inputs(body, limits))
        spent = round(time.monotonic() - began)
        return replace(_parse(kind, {**options, **fields}, inputs), spent=spent)
    raise UnsupportedFormat(
        f"Send an image ({', '.join(IMAGE_TYPES)}), {NPY_TYPE}, {TEXT_TYPE}, {FORM_TYPE} or {JSON_TYPE},"
        f" not {content_type or 'a body without Content-Type'!r}.",
        content_type=content_type,
    )


async def read_json(request: Request, kind: type[Fields], limits: Limits, in_pool: InPool) -> Fields:
    """Read a JSON object that has options only.

    Raises:
        InvalidRequest: the body is no JSON object.
        OptionInvalid: an option is unknown, missing or invalid.
        TooMany: it has too many parts.
        QueueFull, DeadlineExceeded: see `WorkerPool.run`.
        UnsupportedFormat: the content type is another.
    """
    content_type = content_type_of(request)
    if content_type != JSON_TYPE:
        raise UnsupportedFormat(
            f"Send {JSON_TYPE}, not {content_type or 'a body without Content-Type'!r}.",
            content_type=content_type,
        )
    body = await read_body(request)

    def parsed() -> Fields:
        found = JsonBody(body, limits)
        found.require_all_decoded()
        return read_options(kind, found.document)

    return await in_pool(parsed)


async def read_image(request: Request, limits: Limits) -> bytes:
    """Read one image or .npy file from a plain body or a form; or a text or its tokens, encoded.

    Raises:
        InvalidRequest: a form without exactly one file named `image`, or JSON that is no text.
        TooMany: a form or JSON has too many parts.
        UnsupportedFormat: the content type is none of these forms.
        TextUnreadable, TextTooLong: a text is not UTF-8, or too long.
    """
    content_type = content_type_of(request)
    if content_type == TEXT_TYPE:
        return encoded(await _read_text(request, limits))
    if content_type == JSON_TYPE:
        return encoded(await run_in_threadpool(read_only_text, await read_body(request), limits))
    if content_type in {*IMAGE_TYPES, NPY_TYPE, ANY_TYPE}:
        return await read_body(request)
    if content_type != FORM_TYPE:
        raise UnsupportedFormat(
            f"Send an image ({', '.join(IMAGE_TYPES)}), {NPY_TYPE}, {TEXT_TYPE}, {JSON_TYPE} or {FORM_TYPE}, not {content_type or 'nothing'!r}.",
            content_type=content_type,
        )
    async with read_form(request, limits.form_parts) as form:
        parts = form.multi_items()
        if [name for name, _ in parts] != ["image"] or not isinstance(image := parts[0][1], UploadFile):
            raise InvalidRequest("The form must have one file, named image.")
        return taken(image)


async def _read_text(request: Request, limits: Limits) -> str:
    data = await read_body(request)
    require_short(len(data), limits)
    return from_utf8(data)


async def read_body(request: Request) -> bytes:
    """Read the body of a request. A long one is joined in a worker thread, so that the event loop does not wait for it."""
    chunks = [chunk async for chunk in request.stream()]
    if sum(map(len, chunks)) < _LONG_BYTES:
        return b"".join(chunks)
    return await run_in_threadpool(_joined, chunks)


def _joined(chunks: list[bytes]) -> bytes:
    body = b"".join(chunks)
    # Here, for giving back so much memory takes milliseconds, too.
    chunks.clear()
    return body


def content_type_of(request: Request) -> str:
    """The content type of a request's body, without its parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()[:80]


def _parse(kind: type[Options], given: Mapping[str, Any], inputs: Inputs) -> ParsedRequest[Options]:
    options = read_options(kind, given)
    if options.image:
        if inputs:
            raise InvalidRequest("Name stored images with image=, or send images in the body, not both.")
        inputs = {ANY_INPUT: [NamedImage(image) for image in options.image]}
    if not inputs and kind.needs_images:
        raise InputMismatch("The request has no image: add image=<id of a stored image>, or POST one.")
    return ParsedRequest(options, inputs)


def _collect(items: list[tuple[str, str]]) -> dict[str, Any]:
    """The options of a query or a form by name: repeatable ones as lists, others as single values."""
    options: dict[str, Any] = {}
    for name, value in items:
        if name in REPEATABLE:
            options.setdefault(name, []).append(value)
        elif name in options:
            raise InvalidRequest(f"The option {name[:80]} is given twice.", option=name[:80])
        else:
            options[name] = value
    return options


async def _read_form(request: Request, limits: Limits) -> tuple[dict[str, Any], Inputs]:
    inputs: dict[str, list[Given]] = {}
    fields: list[tuple[str, str]] = []
    async with read_form(request, limits.form_parts) as form:
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                inputs.setdefault(name, []).append(InlineBytes(taken(value)))
            else:
                fields.append((name, value))
    return _collect(fields), inputs
