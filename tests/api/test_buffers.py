"""Bodies that are sent from where they lie."""

import asyncio
from collections.abc import Awaitable, Callable

import numpy as np
import pytest
from starlette.requests import ClientDisconnect
from starlette.testclient import TestClient
from starlette.types import Message

from layerscope.execution.working_memory import Account, WorkingMemory
from layerscope_api.responses.buffers import BuffersResponse

KIB = 1024


def random_bytes(size: int) -> bytes:
    return np.random.default_rng(size).bytes(size)


@pytest.mark.parametrize(
    "sizes",
    [[], [0], [5], [3, 0, 4], [256 * KIB], [256 * KIB - 1, 2], [100 * KIB] * 7, [10, 1_000_000, 0, 700_001]],
)
def test_buffers_arrive_as_one_body_of_known_length(sizes: list[int]) -> None:
    parts = [random_bytes(size) for size in sizes]
    buffers = [part if number % 2 else memoryview(part) for number, part in enumerate(parts)]
    whole = b"".join(parts)

    answer = TestClient(BuffersResponse(buffers, "application/x-npy", {"X-Layer": "conv1"})).get("/")

    assert answer.content == whole
    assert answer.headers["content-length"] == str(len(whole))
    assert (answer.headers["content-type"], answer.headers["x-layer"]) == ("application/x-npy", "conv1")


def sent(answer: BuffersResponse, send: Callable[[Message], Awaitable[None]]) -> None:
    async def receive() -> Message:
        raise AssertionError

    asyncio.run(answer({"type": "http"}, receive, send))


@pytest.mark.parametrize("megabytes", [1, 3])
def test_what_the_server_has_not_sent_yet_counts_in_the_account(megabytes: int) -> None:
    memory = WorkingMemory(10_000_000)
    account = Account(memory)
    account.keep(megabytes * KIB**2)
    held: list[int] = []

    async def send(_: Message) -> None:
        held.append(memory.taken // KIB**2)

    sent(BuffersResponse([bytes(megabytes * KIB**2)], "application/x-npy", {}, account), send)

    # The server takes a message once it has sent the one before: the last megabyte is given back behind the last message.
    assert held == [megabytes, megabytes, *range(megabytes, 0, -1)]
    assert memory.taken == 0


def test_who_takes_a_long_answer_bit_by_bit_is_given_up() -> None:
    messages: list[Message] = []

    async def send(message: Message) -> None:
        messages.append(message)
        await asyncio.sleep(0.02)

    answer = BuffersResponse([bytes(100 * KIB**2)], "application/x-npy", {}, None, receiver_seconds=0.001)
    with pytest.raises(ClientDisconnect):
        sent(answer, send)
    assert len(messages) < 50
