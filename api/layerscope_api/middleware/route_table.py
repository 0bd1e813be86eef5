"""What routes declare, looked up before the framework has chosen one: by path and method."""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Generic, TypeVar

from fastapi.routing import RouteContext, iter_route_contexts
from starlette.routing import BaseRoute, compile_path

Declared = TypeVar("Declared")

_PATHS_REMEMBERED = 512


class RouteTable(Generic[Declared]):
    """What routes declare. Where several routes match, it is that of the first, as with the framework.

    Args:
        routes: the routes of the application; read at the first request, when all of them are registered.
        declared: what a route declares; None leaves the route out.
    """

    def __init__(
        self, routes: Sequence[BaseRoute], declared: Callable[[RouteContext], Declared | None]
    ) -> None:
        self._routes = routes
        self._declared = declared
        self._rows: list[tuple[Any, set[str], Declared]] | None = None
        self.methods = lru_cache(_PATHS_REMEMBERED)(self._methods)

    def _methods(self, path: str) -> dict[str, Declared]:
        """The methods that a path takes, each with what its route declares."""
        if self._rows is None:
            self._rows = list(self._read())
        found: dict[str, Declared] = {}
        for pattern, methods, declared in self._rows:
            if pattern.match(path):
                for method in methods:
                    found.setdefault(method, declared)
        return found

    def _read(self) -> Iterator[tuple[Any, set[str], Declared]]:
        for context in iter_route_contexts(self._routes):
            declared = self._declared(context)
            if declared is not None and context.path:
                yield compile_path(context.path)[0], set(context.methods or ()), declared
