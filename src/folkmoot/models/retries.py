"""When a failed call is tried again, and after how long."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from pydantic import Field

from folkmoot.records import Record


class Retries(Record):
    """Exponential back-off with jitter. A Retry-After from the server is always waited out in full."""

    tries: int = Field(default=4, ge=1)
    """Tries of one call in all, where the server errs, stalls or sends a broken body."""
    overload_tries: int = Field(default=8, ge=1)
    """Tries where the server says that it is overloaded; their waits add up to over a minute, a rate limit's window."""
    connect_tries: int = Field(default=3, ge=1)
    """Tries where nobody answers and nobody ever has."""
    first_seconds: float = Field(default=0.5, ge=0)
    """The longest first wait; it doubles from try to try."""
    longest_seconds: float = Field(default=30.0, ge=0)
    """No wait of ours is longer."""
    retry_after_limit_seconds: float = Field(default=300.0, ge=0)
    """A server that asks for a longer wait than this is not waited for: the call fails."""

    def wait_seconds(self, failures: int, *, retry_after: float | None = None, chance: random.Random) -> float:
        """Seconds to wait after so many failures (at least 1): half fixed, half drawn, never under `retry_after`."""
        longest = min(self.longest_seconds, self.first_seconds * 2.0 ** min(failures - 1, 60))
        drawn = longest * (0.5 + 0.5 * chance.random())
        return drawn if retry_after is None else retry_after + 0.1 * drawn


def retry_after_seconds(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """How long the server asked to wait: `retry-after-ms`, or `retry-after` in seconds or as a date; None if not.

    >>> retry_after_seconds({"Retry-After": "2"})
    2.0
    """
    lower = {name.lower(): value for name, value in headers.items()}
    for name, scale in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        try:
            seconds = float(lower.get(name, "")) * scale
        except ValueError:
            continue
        if 0 <= seconds < float("inf"):
            return seconds
    try:
        when = parsedate_to_datetime(lower.get("retry-after", ""))
    except ValueError:
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max(0.0, (when - (now or datetime.now(UTC))).total_seconds())
