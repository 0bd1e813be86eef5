"""The limits on the bodies of requests, each and together, checked while a route reads: the middleware never reads ahead."""

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from layerscope.errors import BodyTooLarge, LayerscopeError
from layerscope.limits import Limits
from layerscope_api.context.account import account_of, close_account
from layerscope_api.requests.slow_sender import SERVER_BOUNDS_SENDERS, BoundedReceive
from layerscope_api.responses.errors import early_error_response

RECEIVED_BYTES = "received_bytes"
"""In the scope of a request, how much of its body was read."""

MODEL_UPLOAD = ("POST", "/v1/models")
"""Method and path of the only requests whose body may be as long as a model file."""

_FORM_BYTES = 1024 * 1024
"""The bytes that a form may take in addition to the file in it."""


_COPIES = 2
"""How often a body is in memory: as it came, and as it is read, joined or decoded."""


class BodyLimitMiddleware:
    """Refuses a body that is too long: at once if Content-Length says so, else when the bytes received pass the limit.

    What has come counts in the account of the request, and it is refused where bodies have no more room. A model file is not
    counted: it is written to disk as it comes, and counts there. A body that comes too slowly is refused, unless the server sees
    to that.

    Args:
        app: the next ASGI application.
        limits: `body_bytes` is the longest body, `model_file_bytes` the longest model file; see also `BoundedReceive`.
        allows_models: whether model files may be uploaded.
    """

    def __init__(self, app: ASGIApp, limits: Limits, *, allows_models: bool) -> None:
        self._app = app
        self._limits = limits
        self._allows_models = allows_models

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_model = self._allows_models and (scope["method"], scope["path"]) == MODEL_UPLOAD
        limit = self._limits.model_file_bytes + _FORM_BYTES if is_model else self._limits.body_bytes
        too_long = _model_too_long if is_model else _too_long
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdigit() and int(declared) > limit:
            await early_error_response(scope, too_long(int(declared), limit))(scope, receive, send)
            return
        if not scope.get("state", {}).get(SERVER_BOUNDS_SENDERS):
            receive = BoundedReceive(receive, self._limits)
        scope[RECEIVED_BYTES] = 0
        is_refused = False

        async def counting_receive() -> Message:
            nonlocal is_refused
            try:
                message = await receive()
                size = len(message.get("body", b""))
                scope[RECEIVED_BYTES] += size
                if scope[RECEIVED_BYTES] > limit:
                    raise too_long(scope[RECEIVED_BYTES], limit)
                if size and not is_model:
                    account_of(scope).receive(_COPIES * size)
            except LayerscopeError:
                is_refused = True
                raise
            return message

        async def closing_send(message: Message) -> None:
            # The rest of the body stays unread, so the connection cannot carry another request.
            if is_refused and message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Connection"] = "close"
            await send(message)

        try:
            await self._app(scope, counting_receive, closing_send)
        finally:
            close_account(scope)


def _too_long(size: int, limit: int) -> BodyTooLarge:
    return BodyTooLarge(
        f"The body is {size:,} bytes or more; at most {limit:,} are read",
        ways=(
            "send fewer images at once",
            "send pictures compressed, as PNG or JPEG",
            "store images one by one (POST /v1/images) and name them with image=",
        ),
        bytes=size,
        limit=limit,
    )


def _model_too_long(size: int, limit: int) -> BodyTooLarge:
    return BodyTooLarge(
        f"The body is {size:,} bytes or more; of a model at most {limit:,} are read",
        ways=(
            "save the model without its optimizer",
            "ask the operator of the service to put it into the model directory",
            "ask the operator to raise model_file_bytes",
        ),
        bytes=size,
        limit=limit,
    )
