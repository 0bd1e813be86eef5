"""Read a multipart form: all of it or nothing, and never more parts than allowed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Request
from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException, MultiPartParser

from layerscope.errors import BodyTooLarge, InvalidRequest, LayerscopeError, TooMany

_FIELD_BYTES = 1024 * 1024
_IN_MEMORY_BYTES = 1024 * 1024
_NEVER = 0


class _Parser(MultiPartParser):
    """Knows whether it has seen the boundary that ends the form, without which the last part is cut off."""

    is_complete = False

    def on_end(self) -> None:
        self.is_complete = True


@asynccontextmanager
async def read_form(request: Request, most_parts: int, *, on_disk: bool = False) -> AsyncIterator[FormData]:
    """Read the form in a request's body; its files are closed afterwards.

    Args:
        request: not read yet.
        most_parts: how many parts it may have.
        on_disk: whether files longer than a mebibyte are kept in the system's folder for temporary files, and not in
            memory.

    Raises:
        BodyTooLarge: a field, which is no file, is longer than a mebibyte.
        InvalidRequest: the body is not a multipart form, or is cut off.
        TooMany: more than `most_parts` parts.
    """
    parser = _Parser(
        request.headers,
        request.stream(),
        max_files=most_parts,
        max_fields=most_parts,
        max_part_size=_FIELD_BYTES,
    )
    parser.spool_max_size = _IN_MEMORY_BYTES if on_disk else _NEVER
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise _explained(error, most_parts) from error
    except UnicodeError as error:
        raise InvalidRequest("The form's text is not in the charset it declares: send UTF-8.") from error
    try:
        _check(form, parser.is_complete, most_parts)
        yield form
    finally:
        await form.close()


def _check(form: FormData, is_complete: bool, most_parts: int) -> None:
    if not is_complete:
        raise InvalidRequest("The multipart form is cut off: its last boundary is missing.")
    if len(form.multi_items()) > most_parts:
        raise _too_many(most_parts)
    try:
        "".join(
            text for name, value in form.multi_items() for text in (name, value) if isinstance(text, str)
        ).encode()
    except UnicodeEncodeError as error:
        raise InvalidRequest("The form's text has half a character: send UTF-8.") from error


def _explained(error: MultiPartException, most_parts: int) -> LayerscopeError:
    if "Too many" in error.message:
        return _too_many(most_parts)
    if "exceeded" in error.message:
        return BodyTooLarge(
            f"A field of the form is longer than {_FIELD_BYTES:,} bytes",
            ways=("send images as files of the form", "as JSON", "as the body itself"),
            bytes=_FIELD_BYTES + 1,
            limit=_FIELD_BYTES,
        )
    return InvalidRequest(
        "The body is not a multipart form: each part needs a name, and the boundary that Content-Type declares"
        " must stand between parts."
    )


def _too_many(most_parts: int) -> TooMany:
    return TooMany(
        f"The form has more than the {most_parts} parts one request may have",
        ways=(
            "send the rest in further requests",
            "store images first (POST /v1/images) and name them with image=",
            "write options in the query",
        ),
        parts=most_parts + 1,
        limit=most_parts,
    )
