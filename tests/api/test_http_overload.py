"""More requests at once than are let in, and more waiting than there is time for."""

import asyncio
import json
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from requests_made import PREDICTIONS, SEVEN

from layerscope import demo
from layerscope.demo import samples
from layerscope.execution.interface import Query
from layerscope.execution.local_engine import LocalEngine
from layerscope.execution.prepared_query import LocalPreparedQuery
from layerscope.limits import Limits
from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app
from layerscope_api.server.process import Server
from waiting import wait_for


def request(image: bytes) -> bytes:
    head = (
        f"POST {PREDICTIONS} HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nConnection: close\r\n"
        f"Content-Length: {len(image)}\r\n\r\n"
    )
    return head.encode() + image


REQUEST = request(SEVEN)
PROBE = b"GET /v2/health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


class Gated(LocalEngine):
    """An engine that takes up queries when its gate opens, and counts them."""

    def __init__(self, limits: Limits) -> None:
        super().__init__(demo.MODELS, limits)
        self.gate = threading.Event()
        self.taken_up = 0
        self.ended = 0
        self._counting = threading.Lock()

    @contextmanager
    def prepare(self, query: Query) -> Iterator[LocalPreparedQuery]:
        with self._counting:
            self.taken_up += 1
        assert self.gate.wait(60)
        try:
            with super().prepare(query) as prepared:
                yield prepared
        finally:
            with self._counting:
                self.ended += 1


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        return str(json.loads(self.body)["code"])


async def send(port: int, request: bytes) -> Answer:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    head, _, body = (await asyncio.wait_for(reader.read(), 60)).partition(b"\r\n\r\n")
    writer.close()
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return Answer(int(first.split()[1]), headers, body)


@contextmanager
def serving(limits: Limits) -> Iterator[tuple[Gated, int]]:
    engine = Gated(limits)
    engine.load_all()
    settings = Settings(models=None, limits=limits)
    server = Server(create_app(settings, engine), settings)
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield engine, listener.getsockname()[1]
    finally:
        engine.gate.set()
        server.should_exit = True
        thread.join()
        engine.close()


def answered(port: int) -> Answer:
    """The answer to a request that may be late at first, as plans are compiled and others still run."""
    for _ in range(500):
        answer = asyncio.run(send(port, REQUEST))
        if answer.status == 200:
            break
    return answer


def test_r01_of_300_at_once_those_let_in_are_answered_and_the_others_are_told_to_come_again() -> None:
    async def storm(engine: Gated, port: int) -> tuple[list[Answer], list[Answer]]:
        asked = [asyncio.create_task(send(port, REQUEST)) for _ in range(300)]
        refused: set[asyncio.Task[Answer]] = set()
        while len(refused) < 300 - 64:
            done, _ = await asyncio.wait(set(asked) - refused, return_when=asyncio.FIRST_COMPLETED)
            refused |= done
        probes = [await send(port, PROBE) for _ in range(20)]
        engine.gate.set()
        return probes, await asyncio.gather(*asked)

    with serving(Limits(pending_requests=64)) as (engine, port):
        probes, answers = asyncio.run(storm(engine, port))
        again = asyncio.run(send(port, REQUEST))

    assert [probe.status for probe in probes] == [200] * 20
    assert Counter(answer.status for answer in answers) == {200: 64, 429: 236}
    for answer in answers:
        if answer.status == 429:
            assert answer.code == "queue_full"
            assert int(answer.headers["retry-after"]) >= 1
    bodies = {answer.body for answer in (*answers, again) if answer.status == 200}
    assert len(bodies) == 1


def test_r02_who_takes_too_long_is_told_so_meanwhile_and_runs_nothing_any_more() -> None:
    with serving(Limits(deadline_milliseconds=100)) as (engine, port):
        engine.gate.set()
        assert answered(port).status == 200
        engine.gate.clear()
        answer = asyncio.run(send(port, request(samples()["three"].read_bytes())))
        runs = engine.runs
        engine.gate.set()
        wait_for(lambda: engine.ended == engine.taken_up)
        assert engine.runs == runs
        assert answered(port).status == 200

    assert (answer.status, answer.code) == (504, "deadline_exceeded")


def test_what_nobody_waits_for_any_more_counts_as_pending_while_it_goes_on() -> None:
    with serving(Limits(deadline_milliseconds=100, pending_requests=1)) as (engine, port):
        assert asyncio.run(send(port, REQUEST)).code == "deadline_exceeded"
        assert asyncio.run(send(port, REQUEST)).code == "queue_full"
        engine.gate.set()
        assert answered(port).status == 200
