"""Scopes that routes declare: what an API key must allow for a route to answer it."""

from collections.abc import Iterable
from typing import Any

from fastapi import params
from fastapi.security import HTTPBearer

from layerscope_api.context.api_keys import KeyScope


class _Bearer(HTTPBearer):
    """Puts the scope of a route into the OpenAPI document; `Access` has decided long before it is called."""

    async def __call__(self) -> None:  # type: ignore[override]
        """Nothing is left to do."""


_BEARER = _Bearer(scheme_name="key", description="a key made with `layerscope keys create`")


def requires(scope: KeyScope) -> Any:
    """Declare what a key needs for a router or a route: one of its `dependencies`. Several add up."""
    return params.Security(_BEARER, scopes=[scope])


def declared_scopes(dependencies: Iterable[params.Depends]) -> frozenset[str]:
    """The scopes among the dependencies of a route; none if it declares none."""
    ours = [each for each in dependencies if isinstance(each, params.Security) and each.dependency is _BEARER]
    return frozenset(str(scope) for each in ours for scope in each.scopes or ())


INFER = requires(KeyScope.INFER)
MODELS_WRITE = requires(KeyScope.MODELS_WRITE)
METRICS = requires(KeyScope.METRICS)
