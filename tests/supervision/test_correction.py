"""sc(x): bounds, monotony, corner cases, and its range when users are missing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from folkmoot.records import BadInput
from folkmoot.supervision.correction import correction_range, social_correction


@st.composite
def counts(draw: st.DrawFn) -> tuple[int, int, int]:
    n = draw(st.integers(1, 30))
    correct = draw(st.integers(0, n))
    return n, correct, draw(st.integers(0, n - correct))


@given(counts())
def test_it_lies_between_nought_and_one(x: tuple[int, int, int]) -> None:
    assert 0 <= social_correction(*x) <= 1


@given(counts())
def test_it_falls_with_every_further_correct_user(x: tuple[int, int, int]) -> None:
    n, correct, partial = x
    if correct + partial < n:
        assert social_correction(n, correct + 1, partial) < social_correction(n, correct, partial) + 1e-12
        assert social_correction(n, correct, partial + 1) <= social_correction(n, correct, partial)


@given(counts())
def test_all_partly_correct_users_together_count_for_at_most_one_correct_one(x: tuple[int, int, int]) -> None:
    n, correct, partial = x
    assert social_correction(n, correct, 0) - social_correction(n, correct, partial) <= 1 / n + 1e-12


@given(st.integers(1, 50))
def test_the_four_corner_cases(n: int) -> None:
    assert social_correction(n, n, 0) == 0
    assert social_correction(n, 0, 0) == 1
    assert social_correction(n, 0, n) == pytest.approx(1 - 1 / n)
    assert social_correction(n, n - 1, 1) == pytest.approx(0)


def test_by_hand() -> None:
    # Six users, one correct, two partly: 1 - (1/6 + (2/5)/6).
    assert social_correction(6, 1, 2) == pytest.approx(1 - (1 + 2 / 5) / 6)


@pytest.mark.parametrize("x", [(0, 0, 0), (3, 4, 0), (3, 2, 2), (3, -1, 0), (3, 0, -1)])
def test_impossible_counts_are_refused(x: tuple[int, int, int]) -> None:
    with pytest.raises(BadInput, match=r"sc\(x\) of"):
        social_correction(*x)


@given(counts(), st.integers(0, 6), st.data())
def test_the_range_holds_whatever_the_missing_users_would_have_said(
    x: tuple[int, int, int], missing: int, data: st.DataObject
) -> None:
    n, correct, partial = x
    span = correction_range(n, correct, partial, missing)
    right = data.draw(st.integers(0, missing))
    partly = data.draw(st.integers(0, missing - right))
    would_be = social_correction(n + missing, correct + right, partial + partly)
    assert span.lowest - 1e-12 <= would_be <= span.highest + 1e-12
    assert (span.lowest < span.highest) == (missing > 0)


def test_where_everybody_is_missing_everything_is_possible() -> None:
    assert correction_range(0, 0, 0, 4) == (0.0, 1.0)
    with pytest.raises(BadInput, match="there can be none or more"):
        correction_range(3, 1, 0, -1)
