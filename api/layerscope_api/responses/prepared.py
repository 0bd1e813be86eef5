"""Answers made of prepared work: where that is long, it goes on in threads of its own.

What comes before the runs, such as reading a query and planning it, is short. Then it is known whether the rest is, too: if
not, it leaves the threads that short requests need.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import TypeVar

from layerscope.execution.interface import Prepared
from layerscope_api.context.service import Service
from layerscope_api.responses.execution import Execution
from layerscope_api.responses.respond import Answer, ResponseBody

Plan = TypeVar("Plan")
Result = TypeVar("Result")


def answered(
    service: Service,
    execution: Execution,
    preparation: AbstractContextManager[Prepared[Plan, Result]],
    finish: Callable[[Prepared[Plan, Result]], ResponseBody],
) -> Answer:
    """Prepare work and make the answer of it.

    Args:
        service: the threads of long requests.
        execution: of the request.
        preparation: leases the models, until the answer is made.
        finish: runs the prepared work and makes the answer, in this thread if the work is short.

    Returns:
        The answer; where the work is long, one that is made later.

    Raises:
        QueueFull: too many long requests run or wait.
        QuotaExceeded: those of the same key are as many as one may have.
        LayerscopeError: whatever else is wrong.
    """
    with ExitStack() as leased:
        prepared = leased.enter_context(preparation)
        if not prepared.is_long:
            return finish(prepared)
        execution.end_turn()
        answer = service.long_pool.submit(lambda: finish(prepared), execution.account.owner)
        # From here on, the models are leased until the answer is made, or until nobody waits for its beginning any more.
        kept = leased.pop_all()
        answer.add_done_callback(lambda _: kept.close())
        return answer
