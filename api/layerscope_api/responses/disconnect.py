"""Client disconnects: the work on a request is cancelled when its client has gone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import Request
from starlette.types import Receive

from layerscope.errors import LayerscopeError
from layerscope.execution.interface import CancellationToken


@asynccontextmanager
async def cancelled_on_disconnect(request: Request, cancellation: CancellationToken) -> AsyncIterator[None]:
    """Cancel the work on a request when the client disconnects, and at the latest when the context ends.

    The context begins when the body has been read. It ends before the response is sent, or when the deadline is over: a
    worker thread that still runs then learns from the token that its result is not needed.
    """
    watch = asyncio.create_task(_watch(request.receive, cancellation))
    try:
        yield
    finally:
        cancellation.cancel()
        watch.cancel()


async def _watch(receive: Receive, cancellation: CancellationToken) -> None:
    # The body of a GET is not read before; if it is longer than the limit, `receive` raises.
    with suppress(LayerscopeError):
        while (await receive())["type"] != "http.disconnect":
            pass
        cancellation.cancel()
