"""API keys: each request needs a key that has the scope of its route.

A route declares its scope as a dependency. A route that declares none cannot be reached, so that a forgotten declaration
closes a route instead of opening it.
"""

from collections import Counter

from fastapi.routing import RouteContext
from starlette.types import ASGIApp, Receive, Scope, Send

from layerscope.errors import InvalidRequest, KeyInvalid, LayerscopeError, QuotaExceeded, ScopeMissing
from layerscope_api.context.api_keys import Key, Keyring
from layerscope_api.context.scopes import declared_scopes
from layerscope_api.middleware.route_table import RouteTable
from layerscope_api.responses.errors import (
    early_error_response,
    method_not_allowed_response,
    not_found_response,
)

OPEN_PATHS = frozenset(
    {"/v2/health/live", "/v2/health/ready", "/docs", "/docs/docs.css", "/docs/docs.js", "/", "/ui", "/ui/"}
)
"""The only routes that answer without a key, besides `EXPLORER`: the probes, and pages that hold no data and ask for a key."""

EXPLORER = "/ui/"
"""The path below which all files of the explorer lie; they need no key."""

_REALM = 'Bearer realm="layerscope"'


def scopes_of(route: RouteContext) -> frozenset[str] | None:
    """The scopes that a route declares; None if it declares none."""
    return declared_scopes(getattr(route, "dependencies", ())) or None


class AuthorizationMiddleware:
    """Checks the key of each request before a byte of its body is read, and bounds the requests of one key.

    Args:
        app: the next ASGI application.
        keys: the valid keys.
        route_scopes: the scopes that each route needs.
        max_requests: how many requests of one key may be answered at the same time.
    """

    def __init__(
        self, app: ASGIApp, keys: Keyring, route_scopes: RouteTable[frozenset[str]], max_requests: int
    ) -> None:
        self._app = app
        self._keys = keys
        self._route_scopes = route_scopes
        self._max_requests = max_requests
        self._running: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http" or is_open(scope["path"]):
            await self._app(scope, receive, send)
            return
        if sum(name == b"authorization" for name, _ in scope["headers"]) > 1:
            # A proxy may have looked at another of them than this service would.
            error = InvalidRequest("There are several Authorization headers: send one.")
            await early_error_response(scope, error)(scope, receive, send)
            return
        token = _token(scope)
        key = None if token is None else self._keys.find(token)
        if key is None:
            challenge = _REALM if token is None else f'{_REALM}, error="invalid_token"'
            await early_error_response(scope, _no_key(token), {"WWW-Authenticate": challenge})(
                scope, receive, send
            )
            return
        scope["key_id"] = key.id
        methods = self._route_scopes.methods(scope["path"])
        needed = methods.get(scope["method"])
        if needed is None:
            response = method_not_allowed_response(scope, methods) if methods else not_found_response(scope)
            await response(scope, receive, send)
        elif missing := sorted(needed - key.scopes):
            challenge = f'{_REALM}, error="insufficient_scope", scope="{" ".join(missing)}"'
            await early_error_response(scope, _no_scope(missing), {"WWW-Authenticate": challenge})(
                scope, receive, send
            )
        else:
            await self._serve(key, scope, receive, send)

    async def _serve(self, key: Key, scope: Scope, receive: Receive, send: Send) -> None:
        if self._running[key.id] >= self._max_requests:
            await early_error_response(scope, self._too_many())(scope, receive, send)
            return
        self._running[key.id] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._running[key.id] -= 1
            if not self._running[key.id]:
                del self._running[key.id]

    def _too_many(self) -> LayerscopeError:
        return QuotaExceeded(
            f"{self._max_requests} requests of this key are being answered already: try again in a moment.",
            limit=self._max_requests,
        )


def is_open(path: str) -> bool:
    """Whether a path needs no key."""
    return path in OPEN_PATHS or path.startswith(EXPLORER)


def _token(scope: Scope) -> str | None:
    """The token of the header `Authorization: Bearer <token>`."""
    value: bytes = dict(scope["headers"]).get(b"authorization", b"")
    scheme, _, token = value.decode("latin-1").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _no_key(token: str | None) -> LayerscopeError:
    if token is None:
        return KeyInvalid("An API key is needed: send it as Authorization: Bearer <key>.")
    return KeyInvalid("The API key is unknown, revoked or expired: make one with layerscope keys create.")


def _no_scope(missing: list[str]) -> LayerscopeError:
    return ScopeMissing(
        f"This needs a key with the scope {' and '.join(missing)}: make one with layerscope keys create.",
        scopes=missing,
    )
