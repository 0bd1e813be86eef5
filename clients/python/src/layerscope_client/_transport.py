"""Transports that run flows, blocking or asynchronous. Nothing else differs between the two clients."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, BinaryIO, TypeVar

import httpx2

from layerscope_client._error_mapping import failure, no_answer
from layerscope_client._flows import Flow, Form, Request, report_progress
from layerscope_client._retries import pause

T = TypeVar("T")

DEFAULT_BASE_URL = "http://127.0.0.1:8000"

_USER_AGENT = f"layerscope-client/{version('layerscope-client')}"


@dataclass(frozen=True)
class Policy:
    """The settings that both transports share: the API key, and the number of retries."""

    api_key: str | None
    retries: int

    def arguments(self, request: Request) -> dict[str, Any]:
        """The keyword arguments of `httpx2.Client.request`."""
        headers = {"User-Agent": _USER_AGENT, **request.headers}
        if self.api_key is not None:
            headers["Authorization"] = f"Bearer {self.api_key}"
        return {
            "method": request.method,
            "url": request.path,
            "params": list(request.params),
            "headers": headers,
            "content": request.content,
        }


def _form(form: Form, file: BinaryIO) -> dict[str, Any]:
    """The additional keyword arguments for a form."""
    return {"data": dict(form.fields), "files": {form.name: (form.file.name, file)}}


def _last_line(response: httpx2.Response, line: str) -> httpx2.Response:
    """The last line of a stream, as an answer."""
    return httpx2.Response(response.status_code, content=line.encode(), request=response.request)


class Transport:
    """Runs flows on a blocking httpx2 client."""

    def __init__(self, http: httpx2.Client, policy: Policy) -> None:
        self.http = http
        self._policy = policy

    def run(self, flow: Flow[T]) -> T:
        """Send the requests of a flow until it returns its result."""
        try:
            request = next(flow)
            while True:
                request = flow.send(self._send(request))
        except StopIteration as end:
            result: T = end.value
            return result

    @contextmanager
    def lines(self, request: Request) -> Iterator[tuple[httpx2.Response, Iterator[str]]]:
        """Send a request whose answer is a stream of lines.

        Raises:
            LayerscopeError: The answer is an error, or breaks off.
        """
        try:
            with self.http.stream(**self._policy.arguments(request)) as response:
                if not response.is_success:
                    response.read()
                    raise failure(response)
                yield response, response.iter_lines()
        except httpx2.RequestError as error:
            raise no_answer(error, self.http.base_url) from error

    def _send(self, request: Request) -> httpx2.Response:
        for attempt in itertools.count():
            try:
                response = self._send_once(request)
            except httpx2.RequestError as error:
                raise no_answer(error, self.http.base_url) from error
            seconds = pause(response, attempt, self._policy.retries)
            if seconds is None:
                break
            time.sleep(seconds)
        return response

    def _send_once(self, request: Request) -> httpx2.Response:
        arguments = self._policy.arguments(request)
        if request.form is not None:
            with request.form.file.open("rb") as file:
                return self.http.request(**arguments, **_form(request.form, file))
        if request.progress is None:
            return self.http.request(**arguments)
        with self.http.stream(**arguments) as response:
            if not response.is_success:
                response.read()
                return response
            line = ""
            for line in response.iter_lines():
                report_progress(line, request.progress)
            return _last_line(response, line)


class AsyncTransport:
    """Runs flows on an asynchronous httpx2 client, on asyncio."""

    def __init__(self, http: httpx2.AsyncClient, policy: Policy) -> None:
        self.http = http
        self._policy = policy

    async def run(self, flow: Flow[T]) -> T:
        """Send the requests of a flow until it returns its result."""
        try:
            request = next(flow)
            while True:
                request = flow.send(await self._send(request))
        except StopIteration as end:
            result: T = end.value
            return result

    @asynccontextmanager
    async def lines(self, request: Request) -> AsyncIterator[tuple[httpx2.Response, AsyncIterator[str]]]:
        """See `Transport.lines`."""
        try:
            async with self.http.stream(**self._policy.arguments(request)) as response:
                if not response.is_success:
                    await response.aread()
                    raise failure(response)
                yield response, response.aiter_lines()
        except httpx2.RequestError as error:
            raise no_answer(error, self.http.base_url) from error

    async def _send(self, request: Request) -> httpx2.Response:
        for attempt in itertools.count():
            try:
                response = await self._send_once(request)
            except httpx2.RequestError as error:
                raise no_answer(error, self.http.base_url) from error
            seconds = pause(response, attempt, self._policy.retries)
            if seconds is None:
                break
            await asyncio.sleep(seconds)
        return response

    async def _send_once(self, request: Request) -> httpx2.Response:
        arguments = self._policy.arguments(request)
        if request.form is not None:
            with request.form.file.open("rb") as file:
                return await self.http.request(**arguments, **_form(request.form, file))
        if request.progress is None:
            return await self.http.request(**arguments)
        async with self.http.stream(**arguments) as response:
            if not response.is_success:
                await response.aread()
                return response
            line = ""
            async for line in response.aiter_lines():
                report_progress(line, request.progress)
            return _last_line(response, line)
