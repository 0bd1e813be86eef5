"""Keys whose requests are refused again and again wait, and the others do not."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest
from requests_made import PNG, PREDICTIONS, SEVEN
from sockets import served

from layerscope.limits import Limits
from layerscope_api.context.api_keys import KeyFile, KeyScope
from layerscope_api.context.refusals import Refusals
from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app

MIB = 1 << 20


class Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def test_who_is_refused_more_often_than_allowed_waits_until_it_is_not() -> None:
    refusals = Refusals(per_second=20, clock=(clock := Clock()))
    for _ in range(10):
        refusals.note("often", 0)
    assert refusals.wait_seconds("often") == 0
    for _ in range(20):
        refusals.note("often", 0)
    assert refusals.wait_seconds("often") == pytest.approx(1.0)
    assert refusals.wait_seconds("other") == 0
    clock.seconds += 1.0
    assert refusals.wait_seconds("often") == pytest.approx(0)


def test_a_refusal_now_and_then_never_waits() -> None:
    refusals = Refusals(per_second=20, clock=(clock := Clock()))
    for _ in range(1000):
        refusals.note("key", MIB - 1)
        assert refusals.wait_seconds("key") == 0
        clock.seconds += 1 / 20


def test_large_bodies_count_more_and_nobody_waits_longer_than_five_seconds() -> None:
    refusals = Refusals(per_second=20, clock=Clock())
    refusals.note("large", 60 * MIB)
    assert refusals.wait_seconds("large") == pytest.approx(61 / 20 - 0.5)
    for _ in range(100):
        refusals.note("large", 60 * MIB)
    assert refusals.wait_seconds("large") == pytest.approx(5.0)


def test_others_are_answered_while_a_key_that_was_refused_waits(tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    tokens = [KeyFile(keys).create(name, [KeyScope.INFER])[1] for name in ("refused", "other")]
    refused, other = ({**PNG, "Authorization": f"Bearer {token}"} for token in tokens)
    settings = Settings(models=None, api_keys=keys, limits=Limits(refusals_per_second=1))
    with served(create_app(settings), settings) as address, ThreadPoolExecutor(1) as pool:
        path = f"http://{address}{PREDICTIONS}"
        assert httpx2.post(path, content=SEVEN, headers=other, timeout=60).status_code == 200
        in_chunks = iter([bytes(MIB)] * 5)
        assert httpx2.post(path, content=in_chunks, headers=refused, timeout=60).status_code == 415
        waits = pool.submit(httpx2.post, path, content=SEVEN, headers=refused, timeout=60)
        for _ in range(5):
            assert httpx2.post(path, content=SEVEN, headers=other, timeout=60).status_code == 200
        assert not waits.done()
        assert waits.result().status_code == 200
