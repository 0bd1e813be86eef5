"""Client disconnects: the work on a request is cancelled when its caller leaves."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import Request
from starlette.types import Receive

from layerscope.errors import LayerscopeError
from layerscope.execution.interface import CancellationToken


@asynccontextmanager
async def cancelled_on_disconnect(request: Request, cancellation: CancellationToken) -> AsyncIterator[None]:
    """Cancel the work when the caller leaves, and at the latest when the context ends.

    The context begins when the body has been read, and ends before the answer is sent, or when the time is up.
    """
    watch = asyncio.create_task(_watch(request.receive, cancellation))
    try:
        yield
    finally:
        cancellation.cancel()
        watch.cancel()


async def _watch(receive: Receive, cancellation: CancellationToken) -> None:
    # A GET may have a body, which nobody reads, and which may be longer than is allowed.
    with suppress(LayerscopeError):
        while (await receive())["type"] != "http.disconnect":
            pass
        cancellation.cancel()
