"""Retries: which requests are sent again, and after which pause."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerscope_client._retries import MAX_PAUSE_SECONDS, pause


def answer(status: int, retry_after: str | None = None) -> httpx2.Response:
    return httpx2.Response(status, headers={} if retry_after is None else {"Retry-After": retry_after})


@pytest.mark.parametrize("status", [200, 304, 400, 404, 409, 422, 500, 504, 507])
def test_only_busy_answers_are_tried_again(status: int) -> None:
    assert pause(answer(status, "1"), 0, 3) is None


@pytest.mark.parametrize("status", [429, 503])
def test_the_pause_is_what_the_service_asks_for(status: int) -> None:
    assert pause(answer(status, "7"), 0, 3) == 7


def test_a_date_is_a_pause_until_then() -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=20), usegmt=True)
    past = format_datetime(datetime.now(UTC) - timedelta(days=1), usegmt=True)

    assert 0 < (pause(answer(503, soon), 0, 3) or 0) <= 20
    assert pause(answer(503, past), 0, 3) == 0


def test_a_service_that_asks_for_longer_than_the_bound_is_not_waited_for() -> None:
    assert pause(answer(503, "3600"), 0, 3) is None


def test_without_a_request_the_pause_doubles() -> None:
    assert [pause(answer(429), attempt, 3) for attempt in range(4)] == [0.5, 1.0, 2.0, None]


@given(st.text(st.characters(codec="ascii", categories=["L", "N", "P", "Zs"])), st.integers(0, 2_000))
def test_whatever_the_header_says_the_pause_is_bounded(header: str, attempt: int) -> None:
    seconds = pause(answer(503, header), attempt, 3_000)

    assert seconds is None or 0 <= seconds <= MAX_PAUSE_SECONDS
