"""An engine for tests that come in between the plan of a query and its run."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from layerscope.execution.interface import (
    CancellationToken,
    Partial,
    PreparedQuery,
    Progress,
    Query,
    QueryPlan,
    Result,
)
from layerscope.execution.local_engine import LocalEngine
from layerscope.execution.working_memory import Account

Run = Callable[[CancellationToken, Progress | None], AbstractContextManager[Result]]


@dataclass(frozen=True)
class Intercepted:
    """A prepared query that is run by another function, which is given the real run."""

    prepared: PreparedQuery
    running: Callable[[Run, CancellationToken, Progress | None], AbstractContextManager[Result]]

    @property
    def plan(self) -> QueryPlan:
        return self.prepared.plan

    @property
    def is_long(self) -> bool:
        return self.prepared.is_long

    def run(
        self,
        answer_bytes: int = 0,
        *,
        cancellation: CancellationToken | None = None,
        progress: Progress | None = None,
        partial: Partial | None = None,
        account: Account | None = None,
    ) -> AbstractContextManager[Result]:
        def run(token: CancellationToken, seen: Progress | None) -> AbstractContextManager[Result]:
            return self.prepared.run(
                answer_bytes, cancellation=token, progress=seen, partial=partial, account=account
            )

        return self.running(run, cancellation or CancellationToken(), progress)


class InterceptedEngine(LocalEngine):
    """An engine whose queries are run by `running`."""

    @contextmanager
    def prepare(self, query: Query) -> Iterator[Intercepted]:  # type: ignore[override]
        with super().prepare(query) as prepared:
            yield Intercepted(prepared, self.running)

    def running(
        self, run: Run, cancellation: CancellationToken, progress: Progress | None
    ) -> AbstractContextManager[Result]:
        """Run a query."""
        return run(cancellation, progress)
