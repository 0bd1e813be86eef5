"""The account of memory that a request holds from its first byte to its last."""

from starlette.types import Scope

from layerscope.execution.working_memory import Account


def account_of(scope: Scope) -> Account:
    """The account of a request, opened by the first call. `BodyLimitMiddleware` closes it. Pages and probes have none."""
    found: Account | None = scope.get("account")
    if found is None:
        found = scope["account"] = Account(scope["app"].state.service.engine.memory, scope.get("key_id"))
    return found


def close_account(scope: Scope) -> None:
    """Release all that a request still holds, if it has an account."""
    account: Account | None = scope.get("account")
    if account is not None:
        account.close()
