"""Answers scored: everything in the denominator, sets by F1, types apart, pairs paired."""

import pytest

from folkmoot.evaluation.answers import (
    compare_answers,
    intentbench_row,
    reward,
    score_answers,
    set_f1,
    word_f1,
)
from folkmoot.records import BadInput, Outcome, Post, Question, Verdict

CHOICE = Question(text="Why?", options=("a", "b", "c", "d"))
SEVERAL = Question(kind="choices", text="What?", options=("a", "b", "c"))


def said(id: str, label: str | None, outcome: Outcome = Outcome.LABELLED) -> Verdict:
    return Verdict(id=id, outcome=outcome, label=label, task="social_intent", judge="x:v1")


GOLD = [
    Post(id="1", question=CHOICE, label="A", meta={"type": "Why"}),
    Post(id="2", question=CHOICE, label="B", meta={"type": "Why"}),
    Post(id="3", question=SEVERAL, label="A,B", meta={"type": "Emotion"}),
    Post(id="4", question=Question(kind="yes_no", text="Is it?"), label="no", meta={"type": "Deception"}),
    Post(id="5", question=CHOICE, label="D", meta={"type": "When"}),
]


def test_rewards_by_hand() -> None:
    assert set_f1({"A", "C"}, {"A", "B"}) == 0.5
    assert set_f1(set(), {"A"}) == 0
    assert word_f1("the red cup", "a red cup") == pytest.approx(2 / 3)
    assert reward(SEVERAL, "A", "A,B") == pytest.approx(2 / 3)
    assert reward(CHOICE, None, "A") == 0


def test_failures_and_missing_questions_count_as_wrong() -> None:
    verdicts = [
        said("1", "A"), said("2", None, Outcome.UNPARSABLE), said("3", "A"), said("4", "yes"),
    ]  # fmt: skip
    scores = score_answers(verdicts, GOLD)
    assert scores.n == 5
    assert scores.answered == 3
    assert scores.accuracy == pytest.approx((1 + 0 + 2 / 3 + 0 + 0) / 5)
    assert scores.exact == pytest.approx(1 / 5)
    assert scores.per_type["Why"].accuracy == 0.5
    assert scores.outcomes == {"labelled": 3, "unparsable": 1, "missing": 1}
    assert list(scores.per_type) == ["Why", "When", "Emotion", "Deception"]
    low, high = scores.interval95
    assert low <= scores.accuracy <= high
    assert intentbench_row(scores) == [
        ("Why", "50.0"), ("How", "–"), ("What", "–"), ("When", "0.0"), ("Who/Which", "–"), ("Other", "–"),
        ("Emotion", "66.7"), ("Deception", "0.0"), ("Overall", "33.3"),
    ]  # fmt: skip


def test_chance_is_of_closed_questions() -> None:
    assert score_answers([], GOLD[:2]).chance == 0.25
    assert score_answers([], GOLD).chance is None


def test_judges_are_paired_by_question() -> None:
    gold = [Post(id=str(n), question=CHOICE, label="A") for n in range(40)]
    half = [said(str(n), "A" if n % 2 else "B") for n in range(40)]
    most = [said(str(n), "B" if n % 4 == 0 else "A") for n in range(40)]
    (found,) = compare_answers({"half": half, "most": most}, gold)
    assert (found.first, found.second) == ("most", "half")
    assert found.difference == pytest.approx(0.25)
    assert found.interval95[0] > 0.05
    assert (found.mcnemar.first_only, found.mcnemar.second_only) == (10, 0)
    (same,) = compare_answers({"half": half, "again": half}, gold)
    assert same.difference == 0
    assert same.p == 1


def test_what_cannot_be_scored_is_refused() -> None:
    with pytest.raises(BadInput, match="no question"):
        score_answers([], [Post(id="1", label="A")])
    with pytest.raises(BadInput, match="two verdicts"):
        score_answers([said("1", "A"), said("1", "B")], GOLD)
    with pytest.raises(BadInput, match="no questions"):
        score_answers([], [])
