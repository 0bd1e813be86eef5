"""Receive a model file that somebody sends: as the body itself, or as a part of a form."""

import shutil
from pathlib import Path

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field
from starlette.datastructures import UploadFile

from layerscope.errors import InvalidRequest, UnsupportedFormat
from layerscope.limits import Limits
from layerscope.models.durable import storing
from layerscope.models.manifest import Manifest
from layerscope.models.store import require_model_name
from layerscope.models.validation import suffix_of
from layerscope_api.requests.body import content_type_of
from layerscope_api.requests.multipart import read_form
from layerscope_api.schemas.media_types import ANY_TYPE, FORM_TYPE
from layerscope_api.schemas.options import read_options

FILE_TYPES = (ANY_TYPE, "application/zip", "application/x-hdf5")
"""What a model file may be sent as; what it is, its content tells."""

_FILE, _DECLARATION = "model", "declaration"
_WRITTEN_AT_ONCE = 1024 * 1024


class UploadOptions(BaseModel):
    """What is said of a model that is sent."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="what to call the model: `[a-z0-9][a-z0-9._-]{0,63}`")
    load: bool = Field(default=True, description="whether to load it, too")
    declaration: str | None = Field(
        default=None,
        description="JSON as in a `layerscope.json`: `preprocessing`, `inputs`, `classes`, `labels`, `warm_up`",
    )

    def manifest(self) -> Manifest | None:
        """What is declared.

        Raises:
            ModelRefused: it is wrong, or declares what only an operator may.
        """
        return None if self.declaration is None else Manifest.of_stranger(self.declaration)


def declared_size(request: Request, limits: Limits) -> int:
    """How long the model file is at most, from what the request says before it is read."""
    length = request.headers.get("content-length", "")
    return min(int(length), limits.model_file_bytes) if length.isdigit() else limits.model_file_bytes


async def receive(request: Request, file: Path, limits: Limits) -> tuple[UploadOptions, Path]:
    """Write the model file that a request sends.

    Args:
        request: not read yet.
        file: an existing file to write it to.
        limits: `form_parts` bounds a form.

    Returns:
        The options, and where the file is: its name tells what it is.

    Raises:
        InvalidRequest: a form without exactly one file named `model`.
        OptionInvalid: an option is unknown, missing or impossible.
        ModelRefused: the file is no model file, or the declaration is wrong.
        StorageFull: the disk has no room for it.
        TooMany: more parts than a form may have.
        UnsupportedFormat: the content type is none that models are sent as.
    """
    content_type = content_type_of(request)
    given = dict(request.query_params.items())
    if content_type == FORM_TYPE:
        options, suffix = await _receive_form(request, given, file, limits)
    elif content_type in FILE_TYPES:
        options, suffix = _read(given), ""
        await _receive_body(request, file)
    else:
        raise UnsupportedFormat(
            f"Send a model file as {', '.join(FILE_TYPES)} or {FORM_TYPE}, not {content_type or 'nothing'!r}.",
            content_type=content_type,
        )
    named = file.with_suffix(suffix or await run_in_threadpool(suffix_of, file))
    await run_in_threadpool(file.rename, named)
    return options, named


def _read(given: dict[str, str]) -> UploadOptions:
    options = read_options(UploadOptions, given)
    require_model_name(options.name)
    options.manifest()
    return options


async def _receive_body(request: Request, file: Path) -> None:
    waiting = bytearray()
    with file.open("r+b") as target:

        def write() -> None:
            with storing():
                target.write(waiting)
            waiting.clear()

        async for chunk in request.stream():
            waiting += chunk
            if len(waiting) >= _WRITTEN_AT_ONCE:
                await run_in_threadpool(write)
        await run_in_threadpool(write)
        target.truncate()


async def _receive_form(
    request: Request, given: dict[str, str], file: Path, limits: Limits
) -> tuple[UploadOptions, str]:
    """The options, and the suffix that the file is sent with, if any."""
    with storing():
        async with read_form(request, limits.form_parts, on_disk=True) as form:
            sent = [(name, part) for name, part in form.multi_items() if isinstance(part, UploadFile)]
            fields = {name: part for name, part in form.multi_items() if isinstance(part, str)}
            files = [part for name, part in sent if name == _FILE]
            if len(files) != 1 or {name for name, _ in sent} - {_FILE, _DECLARATION}:
                raise InvalidRequest(
                    f"The form must have one file named {_FILE}, and may have one named {_DECLARATION}."
                )
            for name, part in sent:
                if name == _DECLARATION:
                    fields[name] = _text(await part.read())
            options = _read({**given, **fields})
            await run_in_threadpool(_copy, files[0], file)
            return options, Path(files[0].filename or "").suffix


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"The {_DECLARATION} is not text in UTF-8.") from error


def _copy(part: UploadFile, file: Path) -> None:
    with file.open("r+b") as target:
        shutil.copyfileobj(part.file, target, _WRITTEN_AT_ONCE)
        target.truncate()
