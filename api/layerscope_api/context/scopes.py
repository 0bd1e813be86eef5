"""Scopes of API keys, as routes declare them: what a key must allow before a route may answer."""

from collections.abc import Iterable
from typing import Any

from fastapi import params
from fastapi.security import HTTPBearer

from layerscope_api.context.api_keys import KeyScope


class _Bearer(HTTPBearer):
    """The security scheme of the OpenAPI document.

    `AuthorizationMiddleware` checks keys before the body is read, so the dependency itself has nothing to check.
    """

    async def __call__(self) -> None:  # type: ignore[override]
        """Accept the request: the middleware has checked it."""


_BEARER = _Bearer(scheme_name="key", description="a key made with `layerscope keys create`")


def requires(scope: KeyScope) -> Any:
    """Declare the scope that a key needs, as one of the `dependencies` of a router or a route. Several add up."""
    return params.Security(_BEARER, scopes=[scope])


def declared_scopes(dependencies: Iterable[params.Depends]) -> frozenset[str]:
    """The scopes among the dependencies of a route; empty if it declares none."""
    ours = [each for each in dependencies if isinstance(each, params.Security) and each.dependency is _BEARER]
    return frozenset(str(scope) for each in ours for scope in each.scopes or ())


INFER = requires(KeyScope.INFER)
MODELS_WRITE = requires(KeyScope.MODELS_WRITE)
JOBS_WRITE = requires(KeyScope.JOBS_WRITE)
DATASETS_WRITE = requires(KeyScope.DATASETS_WRITE)
METRICS = requires(KeyScope.METRICS)
