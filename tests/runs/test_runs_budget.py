from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from folkmoot.records import BudgetReached
from folkmoot.runs import Budget, Price


def test_a_price_is_for_a_million_tokens_of_each_kind() -> None:
    usage = SimpleNamespace(prompt_tokens=1000, completion_tokens=200)
    assert Price(input_usd_per_million=3, output_usd_per_million=15).of(usage) == pytest.approx(0.003 + 0.003)
    assert Price().of(usage) == 0


def test_a_call_past_the_limit_of_calls_is_not_admitted() -> None:
    budget = Budget(max_calls=2)
    budget.admit()
    budget.admit()
    with pytest.raises(BudgetReached, match="--max-calls 2"):
        budget.admit()
    assert budget.calls == 2


def test_a_call_whose_expected_cost_passes_the_limit_is_not_admitted() -> None:
    budget = Budget(max_cost_usd=1.0)
    budget.admit(0.9)
    budget.spend(0.9)
    budget.admit(0.05)
    with pytest.raises(BudgetReached, match="--max-cost 1"):
        budget.admit(0.2)


def test_nothing_is_admitted_once_the_money_is_spent_whatever_was_expected() -> None:
    budget = Budget(max_cost_usd=1.0)
    budget.spend(1.0)
    with pytest.raises(BudgetReached):
        budget.admit()


def test_a_resumed_run_starts_with_what_its_ledger_spent() -> None:
    with pytest.raises(BudgetReached):
        Budget(max_cost_usd=1.0, spent_usd=1.5).admit()
    with pytest.raises(BudgetReached):
        Budget(max_calls=10, calls=10).admit()


def test_without_limits_everything_is_admitted_and_counted() -> None:
    budget = Budget()
    for _ in range(5):
        budget.admit(1e9)
        budget.spend(1e9)
    assert (budget.calls, budget.spent_usd) == (5, 5e9)


def test_calls_in_flight_count_at_their_expected_cost_until_they_end() -> None:
    budget = Budget(max_cost_usd=1.0)
    with budget.reserve(0.6) as first:
        with pytest.raises(BudgetReached, match="in flight"), budget.reserve(0.6):
            pass
        first.cost_usd = 0.2
    assert budget.spent_usd == 0.2
    with budget.reserve(0.6):
        pass


def test_a_failed_call_gives_its_reservation_back() -> None:
    budget = Budget(max_cost_usd=1.0)
    with pytest.raises(KeyError), budget.reserve(0.9):
        raise KeyError
    assert (budget.reserved_usd, budget.spent_usd) == (0, 0)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.floats(0, 1), max_size=30), st.floats(0.1, 5))
def test_reserved_calls_that_cost_what_was_expected_never_pass_the_limit(costs: list[float], limit: float) -> None:
    budget = Budget(max_cost_usd=limit)
    for cost in costs:
        try:
            with budget.reserve(cost) as spending:
                spending.cost_usd = cost
        except BudgetReached:
            assert budget.spent_usd + cost > limit or budget.spent_usd >= limit
    assert budget.spent_usd <= limit


def test_no_reservation_is_left_when_nothing_is_in_flight() -> None:
    budget = Budget(max_cost_usd=10)
    with budget.reserve(0.1), budget.reserve(0.2), budget.reserve(0.3):
        assert budget.reserved_usd == pytest.approx(0.6)
    assert budget.reserved_usd == 0
