"""Who may ask for what. A route declares its scope; whatever declares none is closed."""

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from fastapi.routing import iter_route_contexts
from starlette.routing import BaseRoute, compile_path
from starlette.types import ASGIApp, Receive, Scope, Send

from layerscope.errors import KeyInvalid, LayerscopeError, QuotaExceeded, ScopeMissing
from layerscope_api.context.api_keys import Key, Keyring
from layerscope_api.context.scopes import declared_scopes
from layerscope_api.responses.errors import nothing_here, refusal, wrong_method

OPEN_PATHS = frozenset(
    {"/v2/health/live", "/v2/health/ready", "/docs", "/docs/docs.css", "/docs/docs.js", "/", "/ui", "/ui/"}
)
"""The only routes that answer without a key, besides `EXPLORER`: the probes, and pages that hold nothing and ask for one."""

EXPLORER = "/ui/"
"""Below it are the files of the explorer, all of them open."""

_REALM = 'Bearer realm="layerscope"'
_PATHS_REMEMBERED = 512


class Declarations:
    """The scopes that routes declare, by method and path.

    Args:
        routes: those of the application, as they are when the first request comes.
    """

    def __init__(self, routes: Sequence[BaseRoute]) -> None:
        self._routes = routes
        self._declared: list[tuple[Any, set[str], frozenset[str]]] | None = None
        self.methods = lru_cache(_PATHS_REMEMBERED)(self._methods)

    def _methods(self, path: str) -> dict[str, frozenset[str]]:
        """The methods that a path takes, each with the scopes it needs. What declares no scope is not there."""
        if self._declared is None:
            self._declared = list(self._read())
        found: dict[str, frozenset[str]] = {}
        for pattern, methods, scopes in self._declared:
            if pattern.match(path):
                for method in methods:
                    found.setdefault(method, scopes)
        return found

    def _read(self) -> Iterable[tuple[Any, set[str], frozenset[str]]]:
        for context in iter_route_contexts(self._routes):
            scopes = declared_scopes(getattr(context, "dependencies", ()))
            if scopes and context.path:
                yield compile_path(context.path)[0], set(context.methods or ()), scopes


class Access:
    """Let in who has a key for what is asked, before a byte of the body is read.

    Args:
        app: what comes behind.
        keys: those in force.
        declarations: what each route needs.
        most_requests: how many requests of one key are answered at once.
    """

    def __init__(self, app: ASGIApp, keys: Keyring, declarations: Declarations, most_requests: int) -> None:
        self._app = app
        self._keys = keys
        self._declarations = declarations
        self._most_requests = most_requests
        self._running: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http" or is_open(scope["path"]):
            await self._app(scope, receive, send)
            return
        token = _token(scope)
        key = None if token is None else self._keys.find(token)
        if key is None:
            challenge = _REALM if token is None else f'{_REALM}, error="invalid_token"'
            await refusal(scope, _no_key(token), {"WWW-Authenticate": challenge})(scope, receive, send)
            return
        scope["key_id"] = key.id
        methods = self._declarations.methods(scope["path"])
        needed = methods.get(scope["method"])
        if needed is None:
            response = wrong_method(scope, methods) if methods else nothing_here(scope)
            await response(scope, receive, send)
        elif missing := sorted(needed - key.scopes):
            challenge = f'{_REALM}, error="insufficient_scope", scope="{" ".join(missing)}"'
            await refusal(scope, _no_scope(missing), {"WWW-Authenticate": challenge})(scope, receive, send)
        else:
            await self._serve(key, scope, receive, send)

    async def _serve(self, key: Key, scope: Scope, receive: Receive, send: Send) -> None:
        if self._running[key.id] >= self._most_requests:
            await refusal(scope, self._too_many())(scope, receive, send)
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
            f"{self._most_requests} requests of this key are being answered already: try again in a moment.",
            limit=self._most_requests,
        )


def is_open(path: str) -> bool:
    """Whether a path answers without a key."""
    return path in OPEN_PATHS or path.startswith(EXPLORER)


def _token(scope: Scope) -> str | None:
    """What stands behind `Authorization: Bearer`."""
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
