"""Opinions of a file as a judge."""

import pytest
from mild import MANNERS, POST

from folkmoot.panels import RecordedOpinions
from folkmoot.records import BadInput, CallPlan, Judge, Opinion, Outcome, Verdict


def opinion(agent: str, label: str, round: int = 0, confidence: float | None = 0.8) -> Opinion:
    return Opinion(agent=agent, label=label, round=round, confidence=confidence, rationale=f"{agent} says {label}")


DIFFER = [opinion("moderator", "rude"), opinion("user", "kind")]


async def test_the_last_round_decides_and_every_opinion_is_kept() -> None:
    opinions = [*DIFFER, opinion("moderator", "kind", 1, 0.6), opinion("user", "kind", 1, 1.0)]
    judge = RecordedOpinions(MANNERS, {"p1": opinions})
    verdict = await judge.judge(POST)
    assert isinstance(judge, Judge)
    assert (verdict.label, verdict.probability, verdict.quorum, verdict.judge) == ("kind", 0.8, 2, "recorded:v1")
    assert verdict.opinions == tuple(opinions)
    assert [s.anchors for s in verdict.explanation] == [("opinion:2",), ("opinion:3",)]
    assert Verdict.from_line(verdict.to_line()) == verdict


async def test_agents_that_differ_abstain() -> None:
    verdict = await RecordedOpinions(MANNERS, {"p1": DIFFER}).judge(POST)
    assert (verdict.outcome, verdict.quorum) == (Outcome.ABSTAINED, 2)
    assert verdict.probabilities == {"rude": 0.5, "kind": 0.5}


async def test_a_post_without_opinions_is_abstained_from() -> None:
    for opinions in ({}, {"p1": []}):
        verdict = await RecordedOpinions(MANNERS, opinions).judge(POST)
        assert (verdict.outcome, verdict.problem, verdict.quorum) == (Outcome.ABSTAINED, "no recorded opinion", 0)


async def test_the_reference_rule_holds_to_what_was_said_alike_in_round_0() -> None:
    opinions = [opinion("moderator", "rude"), opinion("user", "rude"), opinion("user", "kind", 1)]
    assert (await RecordedOpinions(MANNERS, {"p1": opinions}).judge(POST)).label is None
    verdict = await RecordedOpinions(MANNERS, {"p1": opinions}, rule="reference").judge(POST)
    assert (verdict.label, verdict.probability) == ("rude", 0.8)


async def test_opinions_without_a_confidence_give_no_probability() -> None:
    unsure = [opinion("ann", "rude", confidence=None), opinion("bob", "rude", confidence=None)]
    verdict = await RecordedOpinions(MANNERS, {"p1": unsure}).judge(POST)
    assert (verdict.label, verdict.probability, verdict.probabilities) == ("rude", None, {})
    verdict = await RecordedOpinions(MANNERS, {"p1": [*unsure, opinion("cem", "rude", confidence=0.6)]}).judge(POST)
    assert verdict.probability == 0.6


async def test_a_recorded_failure_stays_a_failure() -> None:
    refused = Opinion(agent="user", outcome=Outcome.REFUSED)
    verdict = await RecordedOpinions(MANNERS, {"p1": [DIFFER[0], refused]}).judge(POST)
    assert (verdict.outcome, verdict.quorum) == (Outcome.REFUSED, 1)


def test_a_label_that_the_task_does_not_have_is_bad_input() -> None:
    with pytest.raises(BadInput, match="'spam'"):
        RecordedOpinions(MANNERS, {"p1": [opinion("ann", "spam")]})


def test_recorded_opinions_cost_no_calls_and_have_the_given_name() -> None:
    judge = RecordedOpinions(MANNERS, {}, name="annotators")
    assert judge.plan(POST) == CallPlan()
    assert judge.name == "annotators:v1"
