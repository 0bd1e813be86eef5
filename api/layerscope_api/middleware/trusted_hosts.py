"""Checks of the headers Host and Origin, against attacks through a browser on the machine of the service.

A web page of any site can send requests to `localhost` (cross-site request forgery), and a site can let its own host name
resolve to `127.0.0.1`, so that its page may read the answers (DNS rebinding).
"""

import ipaddress
import re
import socket
from collections.abc import Iterable

from starlette.types import ASGIApp, Scope

from layerscope.errors import HostRefused, LayerscopeError, OriginRefused
from layerscope_api.middleware.refusing import RefusingMiddleware

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_ANY_ADDRESS = frozenset({"0.0.0.0", "::"})  # noqa: S104 - recognised, not bound
_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([^\[\]:@,\s]+))(?::[0-9]*)?", re.IGNORECASE)
_USUAL_PORTS = {"http": ":80", "https": ":443"}
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class TrustedHostsMiddleware(RefusingMiddleware):
    """Refuses requests with an unknown Host, and requests other than GET, HEAD and OPTIONS from pages of another origin.

    Args:
        app: the next ASGI application.
        bound: the address that the service listens on. If it listens on all addresses of the machine, the name of the
            machine and every numeric address are allowed too: DNS rebinding needs a name.
        allowed: further allowed names; `*` allows all.
        origins: further origins whose pages may send requests that change something.
    """

    def __init__(self, app: ASGIApp, bound: str, allowed: Iterable[str], origins: Iterable[str]) -> None:
        super().__init__(app)
        self._takes_numeric = bound in _ANY_ADDRESS
        names = _LOOPBACK | {bound} | {name.lower() for name in allowed}
        self._names = names | {socket.gethostname().lower()} if self._takes_numeric else names
        self._takes_all = "*" in names
        self._origins = frozenset(origins)

    def refusal(self, scope: Scope) -> LayerscopeError | None:
        """Why a request is refused; None if it is not."""
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        host = hosts[0].decode("latin-1") if len(hosts) == 1 else ""
        name = _name(host)
        if not self._is_ours(name):
            return HostRefused(
                f"This service is not known as {name[:80]!r}: name it in LAYERSCOPE_ALLOWED_HOSTS if it is.",
                host=name[:80],
            )
        origin = "" if scope["method"] in _SAFE_METHODS else _origin(scope)
        if origin and not self._takes(origin) and origin != _own_origin(scope["scheme"], host):
            return OriginRefused(
                f"Pages of {origin[:80]!r} may change nothing here: name it in LAYERSCOPE_CORS_ORIGINS if they may.",
                origin=origin[:80],
            )
        return None

    def _takes(self, origin: str) -> bool:
        return origin in self._origins or "*" in self._origins

    def _is_ours(self, name: str) -> bool:
        if name in self._names or (self._takes_all and name):
            return True
        return self._takes_numeric and _is_numeric(name)


def _name(host: str) -> str:
    """The name in a Host header, without the port and the brackets of an IPv6 address; empty if the header is malformed."""
    parts = _HOST.fullmatch(host)
    return (parts[1] or parts[2]).lower() if parts else ""


def _is_numeric(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _origin(scope: Scope) -> str:
    """The header Origin; several ones together are no origin that anybody has."""
    values = [value.decode("latin-1").lower() for name, value in scope["headers"] if name == b"origin"]
    return ", ".join(values)


def _own_origin(scheme: str, host: str) -> str:
    """The origin of the pages of the service, as browsers write it: without the port that is usual for the scheme."""
    return f"{scheme}://{host.lower().removesuffix(_USUAL_PORTS.get(scheme, ''))}"
