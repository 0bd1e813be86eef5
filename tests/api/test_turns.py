"""Turns of requests with keys, and of large bodies."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest
from requests_made import PNG, PREDICTIONS, SEVEN
from sockets import served

from layerscope.limits import Limits
from layerscope_api.context.api_keys import KeyFile, KeyScope
from layerscope_api.context.settings import Settings
from layerscope_api.context.turns import Turn, Turns
from layerscope_api.server.app import create_app
from layerscope_api.server.large_bodies import LargeBodies

MB = 1_000_000


async def begun(turns: Turns, owner: str, order: list[str]) -> "asyncio.Task[Turn]":
    async def take() -> Turn:
        turn = await turns.take(owner)
        order.append(owner)
        return turn

    task = asyncio.create_task(take())
    await asyncio.sleep(0)
    return task


def test_a_key_with_few_requests_does_not_wait_behind_all_of_another() -> None:
    async def ordered() -> list[str]:
        turns, order = Turns(seconds=60), list[str]()
        tasks = [await begun(turns, "many", order) for _ in range(10)]
        tasks += [await begun(turns, "few", order) for _ in range(2)]
        while len(order) < len(tasks):
            for task in tasks:
                if task.done():
                    task.result().give_back()
            await asyncio.sleep(0)
        return order

    order = asyncio.run(ordered())
    assert order[:6] == ["many", "many", "few", "many", "few", "many"]
    assert set(order[6:]) == {"many"}


def test_turns_while_there_was_nobody_else_do_not_count() -> None:
    async def ordered() -> list[str]:
        turns, order = Turns(seconds=60), list[str]()
        for _ in range(10):
            (await turns.take("alone")).give_back()
        held = [await begun(turns, owner, order) for owner in ("first", "second")]
        tasks = [await begun(turns, owner, order) for owner in ("alone", "third")]
        for task in held:
            task.result().give_back()
        await tasks[0]
        return order

    assert asyncio.run(asyncio.wait_for(ordered(), 60))[:3] == ["first", "second", "alone"]


def test_a_turn_ends_by_itself() -> None:
    async def third() -> None:
        turns = Turns(seconds=0.001)
        for owner in ("first", "second", "third"):
            await turns.take(owner)

    asyncio.run(asyncio.wait_for(third(), 60))


def test_who_gives_up_waiting_takes_no_turn_and_a_turn_is_given_back_once() -> None:
    async def last() -> list[str]:
        turns, order = Turns(seconds=60), list[str]()
        first, second = [await begun(turns, owner, order) for owner in ("first", "second")]
        gone, waits, last = [await begun(turns, owner, order) for owner in ("gone", "waits", "last")]
        gone.cancel()
        with ThreadPoolExecutor(1) as pool:
            for _ in range(2):
                pool.submit(first.result().give_back).result()
        await waits
        assert not last.done()
        second.result().give_back()
        await last
        return order

    assert asyncio.run(asyncio.wait_for(last(), 60)) == ["first", "second", "waits", "last"]


class Connection:
    """One that notes when it is read from, and has more so many times."""

    def __init__(self, name: str, more: int, bodies: LargeBodies, read: list[str]) -> None:
        self.name, self._more, self._bodies, self._read = name, more, bodies, read

    def resume_reading(self) -> None:
        self._read.append(self.name)
        if self._more:
            self._more -= 1
            asyncio.get_running_loop().call_soon(self.read_on)

    def read_on(self) -> None:
        self._bodies.read_on(self, asyncio.get_running_loop())


def test_one_large_body_is_read_from_in_each_pass_of_the_event_loop() -> None:
    async def read() -> list[list[str]]:
        bodies, came, passes = LargeBodies(), list[str](), list[list[str]]()
        for name in ("a", "b", "c"):
            Connection(name, 2, bodies, came).read_on()
        for _ in range(30):
            await asyncio.sleep(0)
            passes.append(came[sum(map(len, passes)) :])
        return passes

    passes = asyncio.run(read())
    assert max(map(len, passes)) == 1
    assert [name for each in passes for name in each] == ["a", "b", "c"] * 3


@pytest.mark.parametrize("size", [3 * MB, 9 * MB])
def test_many_large_bodies_at_once_are_read_whole_or_refused_and_others_are_answered(
    tmp_path: Path, size: int
) -> None:
    """The longer ones are refused while they come, and the rest of them is discarded."""
    keys = tmp_path / "keys.json"
    tokens = [KeyFile(keys).create(name, [KeyScope.INFER])[1] for name in ("large", "small")]
    settings = Settings(models=None, api_keys=keys, limits=Limits(body_bytes=4 * MB))
    with served(create_app(settings), settings) as address, ThreadPoolExecutor(8) as pool:

        def status(token: str, body: bytes) -> int:
            headers = {**PNG, "Authorization": f"Bearer {token}", "Transfer-Encoding": "chunked"}
            pieces = (body[at : at + MB] for at in range(0, len(body), MB))
            return httpx2.post(
                f"http://{address}{PREDICTIONS}", content=pieces, headers=headers, timeout=120
            ).status_code

        large = [pool.submit(status, tokens[0], bytes(size)) for _ in range(8)]
        assert status(tokens[1], SEVEN) == 200
        assert {each.result() for each in large} == {415 if size < 4 * MB else 413}
