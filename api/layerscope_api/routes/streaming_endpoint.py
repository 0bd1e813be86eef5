"""Endpoints of work that takes many runs: their answer in JSON can be a stream of progress that ends with it."""

from functools import cached_property
from typing import TypeVar

from fastapi import Response

from layerscope.encode import Format
from layerscope.errors import OptionInvalid
from layerscope.execution.interface import Partial
from layerscope_api.responses.content_negotiation import format_for
from layerscope_api.responses.event_stream import Events, EventStreamResponse, requested_stream
from layerscope_api.responses.execution import Execution
from layerscope_api.responses.respond import Answer
from layerscope_api.routes.endpoint import Endpoint
from layerscope_api.schemas.options import FormatOptions

Options = TypeVar("Options", bound=FormatOptions)


class StreamingEndpoint(Endpoint[Options]):
    """Tensors in any format, or a stream of progress that ends with their JSON."""

    @property
    def extra_seconds(self) -> float:
        """The work takes many runs of the model."""
        return self.service.attribution_seconds

    @cached_property
    def format(self) -> Format:
        """The format of the answer, or of the end of the stream."""
        return "json" if requested_stream(self.accept) else format_for(self.accept, self.options.format)

    def partial(self, events: Events) -> Partial | None:  # noqa: ARG002 - for subclasses
        """What is called with results before the end; None where there are none."""
        return None

    async def respond(self) -> Response:
        """Answer with a stream if the client accepts one."""
        stream = requested_stream(self.accept)
        if stream is None:
            return await super().respond()
        if self.options.format not in {None, "json"}:
            message = f"A stream ends with JSON, which format={self.options.format} is not."
            raise OptionInvalid(message, option="format")
        # An unknown model is an ordinary error response, without a stream and without a place in the pool.
        self.service.engine.describe(self.model)
        return EventStreamResponse(
            self.request,
            self.service,
            self._compute,
            stream,
            self.extra_seconds - self._parsed.spent,
        )

    def _compute(self, execution: Execution, events: Events) -> Answer:
        return self.handle(self.service, execution, events.progress, self.partial(events))
