"""What a run may spend, and what a call costs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from pydantic import Field

from folkmoot.records import BudgetReached, Record


class TokenCounts(Protocol):
    """Anything that counted a call's tokens."""

    @property
    def prompt_tokens(self) -> int: ...

    @property
    def completion_tokens(self) -> int: ...


class Price(Record):
    """What a model charges, in US dollars for a million tokens; free unless said otherwise.

    >>> from types import SimpleNamespace
    >>> Price(input_usd_per_million=2, output_usd_per_million=10).of(
    ...     SimpleNamespace(prompt_tokens=500_000, completion_tokens=100_000))
    2.0
    """

    input_usd_per_million: float = Field(default=0.0, ge=0)
    output_usd_per_million: float = Field(default=0.0, ge=0)

    def of(self, usage: TokenCounts) -> float:
        """The cost in US dollars of a call with these tokens."""
        return (
            usage.prompt_tokens * self.input_usd_per_million + usage.completion_tokens * self.output_usd_per_million
        ) / 1e6


class Spending:
    """One admitted call's reservation; set `cost_usd` once the cost is known."""

    __slots__ = ("cost_usd",)

    def __init__(self) -> None:
        self.cost_usd = 0.0


class Budget:
    """The run's spending limit: asked before each call, told after it.

    A limit holds for the whole run folder, so a resumed run starts with what its ledger has already spent
    (`spent_usd`, `calls`). With `reserve`, calls in flight count at their expected cost, so parallel calls cannot
    all slip under the limit together; a call that costs more than expected can still pass it by the difference.
    """

    def __init__(
        self,
        max_cost_usd: float | None = None,
        max_calls: int | None = None,
        *,
        spent_usd: float = 0.0,
        calls: int = 0,
    ) -> None:
        self.max_cost_usd = max_cost_usd
        self.max_calls = max_calls
        self.spent_usd = spent_usd
        self.calls = calls
        self.reserved_usd = 0.0
        self._in_flight = 0

    def admit(self, expected_cost_usd: float = 0.0) -> None:
        """Nothing; the call is counted and may be sent.

        Raises:
            BudgetReached: the call would pass a limit. Nothing was sent.
        """
        if self.max_calls is not None and self.calls >= self.max_calls:
            raise BudgetReached(
                f"The run has sent {self.calls} calls, its limit of --max-calls {self.max_calls}. "
                "What is done is kept; the same command with a higher limit goes on."
            )
        if self.max_cost_usd is not None:
            committed = self.spent_usd + self.reserved_usd
            if committed >= self.max_cost_usd or committed + expected_cost_usd > self.max_cost_usd:
                raise BudgetReached(
                    f"The next call (about ${expected_cost_usd:.6f}) would pass --max-cost {self.max_cost_usd:g}: "
                    f"${self.spent_usd:.6f} is spent and ${self.reserved_usd:.6f} is in flight. "
                    "What is done is kept; the same command with a higher limit goes on."
                )
        self.calls += 1

    def spend(self, cost_usd: float) -> None:
        """Nothing; the cost of a call that was answered is added."""
        self.spent_usd += cost_usd

    @contextmanager
    def reserve(self, expected_cost_usd: float = 0.0) -> Iterator[Spending]:
        """A context in which one admitted call may be sent; its expected cost counts until it ends.

        Raises:
            BudgetReached: as `admit`.
        """
        self.admit(expected_cost_usd)
        self.reserved_usd += expected_cost_usd
        self._in_flight += 1
        spending = Spending()
        try:
            yield spending
        finally:
            self._in_flight -= 1
            # Exactly nothing where nothing is in flight: sums and differences of floats leave a residue.
            self.reserved_usd = self.reserved_usd - expected_cost_usd if self._in_flight else 0.0
            self.spend(spending.cost_usd)
