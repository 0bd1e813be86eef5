"""The account of memory that a request holds from its first byte to its last."""

from starlette.types import Scope

from layerscope.execution.working_memory import Account


def account_of(scope: Scope) -> Account:
    """The account of a request. It is opened when it is asked for first, and closed by `BodyLimitMiddleware`."""
    found: Account | None = scope.get("account")
    if found is None:
        found = scope["account"] = Account(scope["app"].state.service.engine.memory, scope.get("key_id"))
    return found
