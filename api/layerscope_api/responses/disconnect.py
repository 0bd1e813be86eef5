"""Whether whoever sent a request still waits for the answer."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from fastapi import Request
from starlette.types import Receive

from layerscope.errors import LayerscopeError

IsWanted = Callable[[], bool]
"""Tells whether the answer is still waited for. May be called from any thread."""


@asynccontextmanager
async def watched(request: Request) -> AsyncIterator[IsWanted]:
    """Notice when the caller goes away, or is told that the time is up.

    Begins when the body has been read, and ends before the answer is sent: nothing is wanted from then on.
    """
    gone = threading.Event()
    watch = asyncio.create_task(_watch(request.receive, gone))
    try:
        yield lambda: not gone.is_set()
    finally:
        gone.set()
        watch.cancel()


async def _watch(receive: Receive, gone: threading.Event) -> None:
    # A GET may have a body, which nobody reads, and which may be longer than is allowed.
    with suppress(LayerscopeError):
        while (await receive())["type"] != "http.disconnect":
            pass
        gone.set()
