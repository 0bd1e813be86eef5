"""Multipart forms: they are read completely or refused, and have a limited number of parts."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from layerscope.errors import BodyTooLarge, InvalidRequest, LayerscopeError, TooMany

if TYPE_CHECKING:
    from io import BytesIO
    from tempfile import SpooledTemporaryFile

FIELD_BYTES = 1024 * 1024
"""The longest field of a form that is no file."""

_IN_MEMORY_BYTES = 1024 * 1024
_UNLIMITED = 0
"""A spooled file of this size is never written to disk."""


class _Parser(MultiPartParser):
    """Starlette's parser, which accepts a form that is cut off. This one remembers whether the last boundary came.

    Attributes:
        is_complete: whether the boundary that ends the form was received.
    """

    is_complete = False

    def on_end(self) -> None:
        self.is_complete = True


@asynccontextmanager
async def read_form(
    request: Request, max_parts: int, *, make_room: Callable[[int], None] | None = None
) -> AsyncIterator[FormData]:
    """Read the form in the body of a request. Its files are closed when the context ends.

    Args:
        request: not read yet.
        max_parts: how many parts the form may have.
        make_room: is called in a worker thread with the bytes that the form has so far. With it, files longer than 1 MiB are
            written to the folder for temporary files instead of kept in memory.

    Raises:
        BodyTooLarge: a field that is no file is longer than 1 MiB.
        InvalidRequest: the body is not a multipart form, or is cut off.
        TooMany: more than `max_parts` parts.
    """
    parser = _Parser(
        request.headers,
        request.stream() if make_room is None else _counted(request, make_room),
        max_files=max_parts,
        max_fields=max_parts,
        max_part_size=FIELD_BYTES,
    )
    parser.spool_max_size = _UNLIMITED if make_room is None else _IN_MEMORY_BYTES
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise _error_of(error, max_parts) from error
    except UnicodeError as error:
        raise InvalidRequest("The form's text is not in the charset it declares: send UTF-8.") from error
    try:
        _check(form, parser.is_complete, max_parts)
        yield form
    finally:
        await form.close()


def taken(file: UploadFile) -> bytes:
    """All bytes of a file of a form that is kept in memory; reading would copy them, in the event loop."""
    # There is no public name for the bytes without a copy.
    spooled = cast("SpooledTemporaryFile[bytes]", file.file)
    return cast("BytesIO", spooled._file).getvalue()  # noqa: SLF001


async def _counted(request: Request, make_room: Callable[[int], None]) -> AsyncGenerator[bytes, None]:
    size = counted = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size - counted >= _IN_MEMORY_BYTES:
            await run_in_threadpool(make_room, size)
            counted = size
        yield chunk


def _check(form: FormData, is_complete: bool, max_parts: int) -> None:
    if not is_complete:
        raise InvalidRequest("The multipart form is cut off: its last boundary is missing.")
    if len(form.multi_items()) > max_parts:
        raise _too_many(max_parts)
    try:
        "".join(
            text for name, value in form.multi_items() for text in (name, value) if isinstance(text, str)
        ).encode()
    except UnicodeEncodeError as error:
        raise InvalidRequest("The form's text has half a character: send UTF-8.") from error


def _error_of(error: MultiPartException, max_parts: int) -> LayerscopeError:
    if "Too many" in error.message:
        return _too_many(max_parts)
    if "exceeded" in error.message:
        return _field_too_long()
    return InvalidRequest(
        "The body is not a multipart form: each part needs a name, and the boundary that Content-Type declares"
        " must stand between parts."
    )


def require_short_field(size: int) -> None:
    """Check the length of a field, or of a file that stands for one.

    Raises:
        BodyTooLarge: it is longer than `FIELD_BYTES`.
    """
    if size > FIELD_BYTES:
        raise _field_too_long()


def _field_too_long() -> BodyTooLarge:
    return BodyTooLarge(
        f"A field of the form is longer than {FIELD_BYTES:,} bytes",
        ways=("send images as files of the form", "as JSON", "as the body itself"),
        bytes=FIELD_BYTES + 1,
        limit=FIELD_BYTES,
    )


def _too_many(max_parts: int) -> TooMany:
    return TooMany(
        f"The form has more than the {max_parts} parts one request may have",
        ways=(
            "send the rest in further requests",
            "store images first (POST /v1/images) and name them with image=",
            "write options in the query",
        ),
        parts=max_parts + 1,
        limit=max_parts,
    )
