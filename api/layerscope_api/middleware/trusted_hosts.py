"""Which names the service answers to, and which pages may make it change something.

Both protect who runs the service on a machine with a browser: a page from elsewhere can send requests to any address,
and can point a name of its own at this machine to read the answers.
"""

import ipaddress
import re
import socket
from collections.abc import Iterable

from starlette.types import ASGIApp, Receive, Scope, Send

from layerscope.errors import HostRefused, LayerscopeError, OriginRefused
from layerscope_api.responses.errors import refusal

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_ANY_ADDRESS = frozenset({"0.0.0.0", "::"})  # noqa: S104 - recognised, not bound
_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([^\[\]:@,\s]+))(?::[0-9]*)?", re.IGNORECASE)
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Hosts:
    """Refuse requests to a host that this is not, and changes that another site's page asks for.

    Args:
        app: what comes behind.
        bound: the address listened on. If that is every address of the machine, its name is allowed too and so is every
            numeric one, because nobody can point those elsewhere.
        allowed: further names; `*` allows all.
        origins: sites that may ask for changes, besides the service itself.
    """

    def __init__(self, app: ASGIApp, bound: str, allowed: Iterable[str], origins: Iterable[str]) -> None:
        self._app = app
        self._takes_numeric = bound in _ANY_ADDRESS
        names = _LOOPBACK | {bound} | {name.lower() for name in allowed}
        self._names = names | {socket.gethostname().lower()} if self._takes_numeric else names
        self._takes_all = "*" in names
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        error = self._refused(scope) if scope["type"] == "http" else None
        if error is None:
            await self._app(scope, receive, send)
        else:
            await refusal(scope, error)(scope, receive, send)

    def _refused(self, scope: Scope) -> LayerscopeError | None:
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        host = hosts[0].decode("latin-1") if len(hosts) == 1 else ""
        name = _name(host)
        if not self._is_ours(name):
            return HostRefused(
                f"This service is not known as {name[:80]!r}: name it in LAYERSCOPE_ALLOWED_HOSTS if it is.",
                host=name[:80],
            )
        origin = "" if scope["method"] in _SAFE_METHODS else _origin(scope)
        if origin and origin not in self._origins and origin.partition("://")[2] != host:
            return OriginRefused(
                f"Pages of {origin[:80]!r} may change nothing here: name it in LAYERSCOPE_CORS_ORIGINS if they may.",
                origin=origin[:80],
            )
        return None

    def _is_ours(self, name: str) -> bool:
        if name in self._names or (self._takes_all and name):
            return True
        return self._takes_numeric and _is_numeric(name)


def _name(host: str) -> str:
    """The host of a Host header, without its port and without the brackets of an IPv6 address; empty if it has none."""
    parts = _HOST.fullmatch(host)
    return (parts[1] or parts[2]).lower() if parts else ""


def _is_numeric(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _origin(scope: Scope) -> str:
    value: bytes = dict(scope["headers"]).get(b"origin", b"")
    return value.decode("latin-1").lower()
