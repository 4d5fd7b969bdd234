"""What an endpoint allows, and the turnstile that keeps to it."""

from __future__ import annotations

import asyncio
from collections import deque

from pydantic import Field

from folkmoot.records import Record

MINUTE_SECONDS = 60.0
BURST_SECONDS = 1.0
"""How much of the rate may be used at once after a quiet time (chosen): enough to make up for late timers."""


class Limits(Record):
    """How much may be sent. Concurrency adapts below its maximum; a rate of None is unlimited."""

    requests_per_minute: float | None = Field(default=None, gt=0)
    """Never more requests than this in any 60 seconds."""
    tokens_per_minute: float | None = Field(default=None, gt=0)
    """Prompt and completion tokens; a single call larger than the rate goes out and is paid off before the next."""
    max_concurrency: int = Field(default=64, ge=1)
    """Calls in flight at most."""


class Rate:
    """A pace in units a minute (virtual scheduling: each unit moves on the time from which the next may go).

    With a burst of b seconds a unit takes (60 + b) / rate seconds, so no window of 60 seconds holds more than `rate`
    unit-sized requests.
    """

    def __init__(self, units_per_minute: float) -> None:
        self._unit_seconds = (MINUTE_SECONDS + BURST_SECONDS) / units_per_minute
        self._due = float("-inf")

    def wait_seconds(self, now: float) -> float:
        """Seconds until the next request may go; 0 when it may go now."""
        return max(0.0, self._due - BURST_SECONDS - now)

    def take(self, units: float, now: float) -> None:
        """Nothing; the units are spent. Negative units give back what was reserved and not used."""
        self._due = max(self._due, now) + units * self._unit_seconds


class Turnstile:
    """Lets calls through in order: so many at once, so many a minute, none while the endpoint asked for a pause.

    Concurrency is AIMD, as in TCP: it starts at the maximum, halves on a sign of overload (once for all the calls
    that were in flight together), and grows by one a round of successes.
    """

    def __init__(self, limits: Limits) -> None:
        self.allowed = float(limits.max_concurrency)
        self.in_flight = 0
        self._limits = limits
        self._requests = Rate(limits.requests_per_minute) if limits.requests_per_minute else None
        self._tokens = Rate(limits.tokens_per_minute) if limits.tokens_per_minute else None
        self._queue: deque[tuple[asyncio.Future[None], int]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._closed_until = 0.0
        self._epoch = 0

    @property
    def counts_tokens(self) -> bool:
        """Whether `enter` needs an estimate of the tokens."""
        return self._tokens is not None

    async def enter(self, tokens: int = 0) -> int:
        """The epoch of this call, to be given back to `leave`; returns once the call may be sent."""
        loop = asyncio.get_running_loop()
        if not self._queue and self.in_flight < int(self.allowed) and self._wait_seconds(loop.time()) <= 0:
            self._take(tokens, loop.time())
            return self._epoch
        turn: asyncio.Future[None] = loop.create_future()
        self._queue.append((turn, tokens))
        self._let_in(loop)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # let in and cancelled in the same turn of the loop
                self.leave(self._epoch)
            raise
        return self._epoch

    def leave(
        self, epoch: int, *, unused_tokens: int = 0, succeeded: bool = False, overloaded: bool = False,
        pause_seconds: float = 0.0,
    ) -> None:  # fmt: skip
        """Nothing; the call is over, however it ended, and the next may enter."""
        loop = asyncio.get_running_loop()
        self.in_flight -= 1
        if self._tokens is not None and unused_tokens:
            self._tokens.take(-unused_tokens, float("-inf"))
        if overloaded:
            self._closed_until = max(self._closed_until, loop.time() + pause_seconds)
            if epoch == self._epoch:
                self._epoch += 1
                self.allowed = max(1.0, self.allowed / 2)
        elif succeeded and self.allowed < self._limits.max_concurrency:
            self.allowed = min(float(self._limits.max_concurrency), self.allowed + 1 / self.allowed)
        if self._queue:
            self._let_in(loop)

    def _wait_seconds(self, now: float) -> float:
        wait = self._closed_until - now
        if self._requests is not None:
            wait = max(wait, self._requests.wait_seconds(now))
        if self._tokens is not None:
            wait = max(wait, self._tokens.wait_seconds(now))
        return wait

    def _take(self, tokens: int, now: float) -> None:
        self.in_flight += 1
        if self._requests is not None:
            self._requests.take(1, now)
        if self._tokens is not None:
            self._tokens.take(tokens, now)

    def _let_in(self, loop: asyncio.AbstractEventLoop) -> None:
        while self._queue:
            turn, tokens = self._queue[0]
            if turn.done():  # cancelled while it waited
                self._queue.popleft()
                continue
            if self.in_flight >= int(self.allowed):
                return
            wait = self._wait_seconds(loop.time())
            if wait > 0:
                if self._timer is None:
                    self._timer = loop.call_later(wait, self._timer_rang, loop)
                return
            self._queue.popleft()
            self._take(tokens, loop.time())
            turn.set_result(None)

    def _timer_rang(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        self._let_in(loop)
