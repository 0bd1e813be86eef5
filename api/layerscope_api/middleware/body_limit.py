"""The bound on a request's body, kept while it is read. Pure ASGI: bodies are never read ahead."""

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from layerscope.errors import BodyTooLarge
from layerscope_api.responses.errors import refusal

MODEL_UPLOAD = ("POST", "/v1/models")
"""Method and path of the only requests whose body is as long as a model file."""


_FORM_BYTES = 1024 * 1024
"""What a form takes besides the file that it carries."""


class BodyLimit:
    """Refuse a body that is too long: at once when its length is declared, else where it passes the limit.

    Args:
        app: what comes behind.
        most_bytes: longest body.
        model_bytes: longest model file that may be sent; None where none may.
    """

    def __init__(self, app: ASGIApp, most_bytes: int, model_bytes: int | None = None) -> None:
        self._app = app
        self._most_bytes = most_bytes
        self._model_bytes = model_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_model = self._model_bytes is not None and (scope["method"], scope["path"]) == MODEL_UPLOAD
        most = (self._model_bytes or 0) + _FORM_BYTES if is_model else self._most_bytes
        too_long = _model_too_long if is_model else _too_long
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdigit() and int(declared) > most:
            await refusal(scope, too_long(int(declared), most))(scope, receive, send)
            return
        received = 0
        is_too_long = False

        async def counted() -> Message:
            nonlocal received, is_too_long
            message = await receive()
            received += len(message.get("body", b""))
            if received > most:
                is_too_long = True
                raise too_long(received, most)
            return message

        async def closing(message: Message) -> None:
            if is_too_long and message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Connection"] = "close"
            await send(message)

        await self._app(scope, counted, closing)


def _too_long(size: int, most: int) -> BodyTooLarge:
    return BodyTooLarge(
        f"The body is {size:,} bytes or more; at most {most:,} are read",
        ways=(
            "send fewer images at once",
            "send pictures compressed, as PNG or JPEG",
            "store images one by one (POST /v1/images) and name them with image=",
        ),
        bytes=size,
        limit=most,
    )


def _model_too_long(size: int, most: int) -> BodyTooLarge:
    return BodyTooLarge(
        f"The body is {size:,} bytes or more; of a model at most {most:,} are read",
        ways=(
            "save the model without its optimizer",
            "have it put into the model directory by whoever runs the service",
            "have model_file_bytes raised there",
        ),
        bytes=size,
        limit=most,
    )
