"""Query handlers: how a query of the engine answers a request, in three steps."""

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, nullcontext

from layerscope.execution.interface import Partial, PreparedQuery, Progress, Query, QueryPlan, Result
from layerscope_api.context.service import Service
from layerscope_api.responses.execution import Execution
from layerscope_api.responses.prepared import answered
from layerscope_api.responses.respond import Answer, ResponseBody


class QueryHandler(ABC):
    """One request that is answered by a query. Its steps are called in this order, in worker threads."""

    @abstractmethod
    def query(self) -> Query:
        """What to compute."""

    @abstractmethod
    def admit(self, plan: QueryPlan) -> int:
        """The most bytes of memory that `make` takes in addition to the values. Nothing has run yet.

        Raises:
            LayerscopeError: the answer is impossible or too large.
        """

    @abstractmethod
    def make(self, result: Result) -> ResponseBody:
        """The body of the answer."""

    def translated_errors(self) -> AbstractContextManager[None]:
        """Replaces the errors that are raised while it is entered; here it leaves them as they are."""
        return nullcontext()

    def handle(
        self,
        service: Service,
        execution: Execution,
        progress: Progress | None = None,
        partial: Partial | None = None,
    ) -> Answer:
        """Plan the query, admit its answer, run it and make the answer: here or, if it is long, where long requests run.

        Args:
            service: its engine runs the query.
            execution: can cancel the query, and takes the time of its stages.
            progress: is called after each batch of an attribution or a sweep.
            partial: is called after each batch of a sweep with what is known by then.

        Raises:
            LayerscopeError: the query or its answer is impossible, or there is no memory or time for it.
        """
        began = execution.seconds

        def finish(prepared: PreparedQuery) -> ResponseBody:
            with self.translated_errors():
                plan = prepared.plan
                plan.require_computable()
                answer_bytes = self.admit(plan)
                execution.end_turn()
                running = prepared.run(
                    answer_bytes,
                    cancellation=execution.cancellation,
                    progress=progress,
                    partial=partial,
                    account=execution.account,
                )
                # The memory of the values and of the answer counts as used until the context ends, and then that of the
                # answer.
                with running as result:
                    execution.add(result.activations.timings, began)
                    with execution.encoding():
                        body = self.make(result)
                    execution.account.keep(body.nbytes)
                    return body

        with self.translated_errors():
            return answered(service, execution, service.engine.prepare(self.query()), finish)
