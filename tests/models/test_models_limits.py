"""The turnstile and the waits."""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from folkmoot.models import Limits, Retries
from folkmoot.models.limits import Rate, Turnstile
from folkmoot.models.retries import retry_after_seconds


@given(rate=st.integers(1, 600), gaps=st.lists(st.floats(0, 30), min_size=1, max_size=200))
def test_no_minute_holds_more_requests_than_the_rate(rate: int, gaps: list[float]) -> None:
    pace, now, sent = Rate(rate), 0.0, []
    for gap in gaps:
        now += gap
        now += pace.wait_seconds(now)
        pace.take(1, now)
        sent.append(now)
    for first in sent:
        assert sum(first <= moment < first + 60 - 1e-6 for moment in sent) <= rate


def test_a_rate_lets_its_whole_amount_through_over_time() -> None:
    pace, now = Rate(120), 0.0
    for _ in range(240):
        now += pace.wait_seconds(now)
        pace.take(1, now)
    assert now == pytest.approx(239 * 61 / 120 - 1, abs=0.01)  # two minutes' worth in about two minutes


async def test_the_turnstile_keeps_to_requests_a_minute() -> None:
    turnstile = Turnstile(Limits(requests_per_minute=61 * 10))  # one in 0.1 s after a burst of a second's worth
    loop = asyncio.get_running_loop()
    started = loop.time()
    for _ in range(15):
        turnstile.leave(await turnstile.enter(), succeeded=True)
    assert 0.35 <= loop.time() - started < 1.5


async def test_tokens_that_were_reserved_and_not_used_are_given_back() -> None:
    turnstile = Turnstile(Limits(tokens_per_minute=61_000))  # 1,000 a second
    loop = asyncio.get_running_loop()
    started = loop.time()
    for _ in range(20):
        turnstile.leave(await turnstile.enter(1000), unused_tokens=990)
    assert loop.time() - started < 0.5
    turnstile.leave(await turnstile.enter(2200))
    started = loop.time()
    await turnstile.enter(1)
    assert loop.time() - started > 0.9


async def test_calls_enter_in_the_order_in_which_they_came() -> None:
    turnstile, order = Turnstile(Limits(max_concurrency=2)), []

    async def call(number: int) -> None:
        epoch = await turnstile.enter()
        order.append(number)
        await asyncio.sleep(0)
        turnstile.leave(epoch)

    await asyncio.gather(*(call(number) for number in range(20)))
    assert order == list(range(20))
    assert turnstile.in_flight == 0


async def test_calls_that_were_in_flight_together_halve_the_concurrency_once() -> None:
    turnstile = Turnstile(Limits(max_concurrency=16))
    epochs = [await turnstile.enter() for _ in range(16)]
    for epoch in epochs:
        turnstile.leave(epoch, overloaded=True)
    assert turnstile.allowed == 8
    turnstile.leave(await turnstile.enter(), overloaded=True)
    assert turnstile.allowed == 4


async def test_concurrency_never_falls_below_one() -> None:
    turnstile = Turnstile(Limits(max_concurrency=2))
    for _ in range(5):
        turnstile.leave(await turnstile.enter(), overloaded=True)
    assert turnstile.allowed == 1


async def test_a_waiter_that_is_cancelled_takes_no_place() -> None:
    turnstile = Turnstile(Limits(max_concurrency=1))
    epoch = await turnstile.enter()
    gone, stays = asyncio.create_task(turnstile.enter()), asyncio.create_task(turnstile.enter())
    await asyncio.sleep(0)
    turnstile.leave(epoch)  # lets `gone` in ...
    gone.cancel()  # ... which is cancelled before it runs
    turnstile.leave(await asyncio.wait_for(stays, 60))
    assert turnstile.in_flight == 0


@given(failures=st.integers(1, 2000), seed=st.integers())
def test_a_wait_grows_is_jittered_and_has_a_longest(failures: int, seed: int) -> None:
    retries = Retries(first_seconds=0.5, longest_seconds=30)
    wait = retries.wait_seconds(failures, chance=random.Random(seed))
    longest = min(30, 0.5 * 2 ** min(failures - 1, 10))
    assert longest / 2 <= wait <= longest


@given(retry_after=st.floats(0, 300), failures=st.integers(1, 10))
def test_a_wait_is_never_shorter_than_the_server_asked(retry_after: float, failures: int) -> None:
    assert Retries().wait_seconds(failures, retry_after=retry_after, chance=random.Random(0)) >= retry_after


NOW = datetime(2031, 5, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"retry-after-ms": "250", "Retry-After": "7"}, 0.25),
        ({"RETRY-AFTER": format_datetime(NOW + timedelta(seconds=9), usegmt=True)}, 9.0),
        ({"Retry-After": format_datetime(NOW - timedelta(hours=1), usegmt=True)}, 0.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-3"}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "inf"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_read_in_all_its_forms(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_seconds(headers, NOW) == seconds
