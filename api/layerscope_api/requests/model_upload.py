"""Uploads of model files: the file as the whole body, or as a part of a form, is written to disk while it arrives."""

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
from layerscope.models.store import IncomingFile, require_model_name
from layerscope_api.requests.body import content_type_of
from layerscope_api.requests.json_body import require_few_parts
from layerscope_api.requests.multipart import FIELD_BYTES, read_form, require_short_field
from layerscope_api.schemas.media_types import ANY_TYPE, FORM_TYPE
from layerscope_api.schemas.options import read_options

FILE_TYPES = (ANY_TYPE, "application/zip", "application/x-hdf5")
"""Content types of a body that is a model file. They do not tell its format; its first bytes do, see `ModelStore.add`."""

_FILE_PART, _DECLARATION_PART = "model", "declaration"
_WRITE_BYTES = 1024 * 1024


class UploadOptions(BaseModel):
    """The options of an upload."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="what to call the model: `[a-z0-9][a-z0-9._-]{0,63}`")
    load: bool = Field(default=True, description="whether to load it, too")
    declaration: str | None = Field(
        default=None,
        description="JSON as in a `layerscope.json`: `preprocessing`, `inputs`, `features`, `classes`, `labels`, `warm_up`",
    )

    def manifest(self) -> Manifest | None:
        """The declaration of the model; None without one.

        Raises:
            ModelRefused: the declaration is invalid, or declares what only an operator may.
        """
        return None if self.declaration is None else Manifest.of_untrusted(self.declaration)


async def receive(request: Request, incoming: IncomingFile, limits: Limits) -> tuple[UploadOptions, Path]:
    """Write the model file of a request to disk.

    Args:
        request: not read yet.
        incoming: takes the file; it has no ending.
        limits: `form_parts` bounds a form.

    Returns:
        The options and the path of the file. A file of a form has the ending that its name has at the client; the file of
        a plain body has none.

    Raises:
        InvalidRequest: a form without exactly one file named `model`.
        OptionInvalid: an option is unknown, missing or invalid.
        ModelRefused: the declaration is invalid.
        StorageFull: the disk or the store has no room for the file.
        BodyTooLarge: the declaration is longer than a field may be.
        TooMany: more parts than a form, or the declaration, may have.
        UnsupportedFormat: the content type is none of those of model files.
    """
    content_type = content_type_of(request)
    given = dict(request.query_params.items())
    if content_type == FORM_TYPE:
        return await _receive_form(request, given, incoming, limits)
    if content_type not in FILE_TYPES:
        raise UnsupportedFormat(
            f"Send a model file as {', '.join(FILE_TYPES)} or {FORM_TYPE}, not {content_type or 'nothing'!r}.",
            content_type=content_type,
        )
    options = _upload_options(given, limits)
    await _receive_body(request, incoming)
    return options, incoming.path


def _upload_options(given: dict[str, str], limits: Limits) -> UploadOptions:
    options = read_options(UploadOptions, given)
    require_few_parts((options.declaration or "").encode(), limits)
    require_model_name(options.name)
    options.manifest()
    return options


async def _receive_body(request: Request, incoming: IncomingFile) -> None:
    buffer = bytearray()
    with storing(), incoming.path.open("r+b") as target:

        def flush() -> None:
            with storing():
                incoming.make_room(target.tell() + len(buffer))
                target.write(buffer)
            buffer.clear()

        async for chunk in request.stream():
            buffer += chunk
            if len(buffer) >= _WRITE_BYTES:
                await run_in_threadpool(flush)
        await run_in_threadpool(flush)
        target.truncate()


async def _receive_form(
    request: Request, given: dict[str, str], incoming: IncomingFile, limits: Limits
) -> tuple[UploadOptions, Path]:
    with storing():
        async with read_form(request, limits.form_parts, make_room=incoming.make_room) as form:
            sent = [(name, part) for name, part in form.multi_items() if isinstance(part, UploadFile)]
            fields = {name: part for name, part in form.multi_items() if isinstance(part, str)}
            files = [part for name, part in sent if name == _FILE_PART]
            if len(files) != 1 or {name for name, _ in sent} - {_FILE_PART, _DECLARATION_PART}:
                raise InvalidRequest(
                    f"The form must have one file named {_FILE_PART}, and may have one named {_DECLARATION_PART}."
                )
            for name, part in sent:
                if name == _DECLARATION_PART:
                    fields[name] = _text(await part.read(FIELD_BYTES + 1))
            options = await run_in_threadpool(_upload_options, {**given, **fields}, limits)
            await run_in_threadpool(_copy, files[0], incoming.path)
            named = incoming.path.with_suffix(Path(files[0].filename or "").suffix)
            await run_in_threadpool(incoming.path.rename, named)
            return options, named


def _text(data: bytes) -> str:
    require_short_field(len(data))
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"The {_DECLARATION_PART} is not text in UTF-8.") from error


def _copy(part: UploadFile, file: Path) -> None:
    with file.open("r+b") as target:
        shutil.copyfileobj(part.file, target, _WRITE_BYTES)
        target.truncate()
