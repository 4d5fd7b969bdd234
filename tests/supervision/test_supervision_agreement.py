"""Who has to agree before a post teaches the student."""

from __future__ import annotations

import asyncio

import pytest
from mild_posts import TASK

from folkmoot.panels import RecordedOpinions
from folkmoot.records import BadInput, Lesson, Membership, Opinion, Outcome, Post, Verdict
from folkmoot.supervision import Agreement, audit, gold_lessons, teach


def verdict_on(*rounds: tuple[str, str]) -> Verdict:
    """A panel's verdict where moderator and user said these labels round by round."""
    said = tuple(
        Opinion(agent=agent, round=number, label=label)
        for number, pair in enumerate(rounds)
        for agent, label in zip(("moderator", "user"), pair, strict=True)
    )
    return asyncio.run(RecordedOpinions(TASK, {"p": said}).judge(Post(id="p", text="a cup")))


def membership(verdict: Verdict | None, probability: float, **settings: str) -> Membership | None:
    verdicts = {"p": verdict} if verdict else {}
    lessons = teach(["p"], {"p": probability}, verdicts, TASK, Agreement.model_validate(settings))
    return lessons[0].membership if lessons else None


def test_all_three_must_agree_for_an_agreed_post() -> None:
    assert membership(verdict_on(("tea", "tea")), 0.9) is Membership.AGREED_POSITIVE
    assert membership(verdict_on(("rain", "rain")), 0.1) is Membership.AGREED_NEGATIVE
    assert membership(verdict_on(("tea", "tea")), 0.1) is Membership.DISAGREED
    assert membership(verdict_on(("tea", "rain"), ("tea", "rain")), 0.9) is Membership.DISAGREED


def test_an_agreement_in_the_second_round_counts_unless_only_the_first_is_heard() -> None:
    came_round = verdict_on(("tea", "rain"), ("tea", "tea"))
    assert membership(came_round, 0.9) is Membership.AGREED_POSITIVE
    assert membership(came_round, 0.9, heard="first") is Membership.DISAGREED


def test_in_the_reference_a_first_agreement_overrides_the_classifier() -> None:
    at_once, came_round = verdict_on(("tea", "tea")), verdict_on(("tea", "rain"), ("tea", "tea"))
    assert membership(at_once, 0.1, rule="reference") is Membership.AGREED_POSITIVE
    assert membership(came_round, 0.1, rule="reference") is Membership.DISAGREED


def test_the_panel_alone_does_not_ask_the_classifier_and_the_other_way_round() -> None:
    assert membership(verdict_on(("tea", "tea")), 0.1, source="panel") is Membership.AGREED_POSITIVE
    assert membership(None, 0.1, source="classifier") is Membership.AGREED_NEGATIVE


@pytest.mark.parametrize("outcome", [o for o in Outcome if o.is_failure])
def test_a_failed_panel_teaches_nothing(outcome: Outcome) -> None:
    failed = Verdict(id="p", outcome=outcome, task="drinks", judge="panel:v1")
    assert membership(failed, 0.9) is None
    assert membership(failed, 0.9, source="panel") is None


def test_a_panel_without_an_opinion_teaches_nothing() -> None:
    silent = asyncio.run(RecordedOpinions(TASK, {}).judge(Post(id="p", text="a cup")))
    assert membership(silent, 0.9) is None


def test_lessons_name_their_opinions_by_hash() -> None:
    verdict = verdict_on(("tea", "tea"))
    lesson = teach(["p"], {"p": 0.9}, {"p": verdict}, TASK, Agreement())[0]
    assert lesson.opinions == tuple(opinion.hash for opinion in verdict.opinions)
    assert len(lesson.opinions) == 2


def test_a_gold_post_without_a_known_label_is_refused() -> None:
    with pytest.raises(BadInput, match="'p' has the label 'milk'"):
        gold_lessons([Post(id="p", text="a cup", label="milk")], TASK)


def test_the_audit_counts_agreed_lessons_with_gold_alone() -> None:
    lessons = [
        Lesson(post="a", membership=Membership.AGREED_POSITIVE, target=0.67),
        Lesson(post="b", membership=Membership.AGREED_NEGATIVE, target=0.33),
        Lesson(post="c", membership=Membership.AGREED_NEGATIVE, target=0.33),
        Lesson(post="d", membership=Membership.DISAGREED),
    ]
    assert audit(lessons, {"a": "tea", "b": "tea", "d": "tea"}, TASK) == {"known": 2, "accuracy": 0.5}
    assert audit(lessons, {}, TASK) == {"known": 0, "accuracy": None}
