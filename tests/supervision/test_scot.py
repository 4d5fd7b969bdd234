"""Feedback becomes pairs: assessment, enhancement, Coordinator and Summarizer, with scripted models."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from folkmoot.formats import load_task
from folkmoot.models import Completion, ScriptedModel
from folkmoot.records import BadInput, Media, Opinion, Outcome, Post, PreferencePair
from folkmoot.supervision.assessment import Assessed, Assessment, Feedback, FeedbackJudge
from folkmoot.supervision.judge_audit import audit_judge
from folkmoot.supervision.scot import ScotSettings, Skipped, Synthesizer, frame, kind_of, wrong_label
from folkmoot.supervision.speaking import Speaker

TASK = load_task("misinformation")
POST = Post(id="p", text="Tea cures rain.", label="fake")
CORRECT, PARTLY, WRONG = Assessment.CORRECT, Assessment.PARTIALLY_CORRECT, Assessment.INCORRECT


def opinion(agent: str, label: str | None, confidence: float = 0.8) -> Opinion:
    if label is None:
        return Opinion(agent=agent, outcome=Outcome.REFUSED)
    return Opinion(agent=agent, label=label, confidence=confidence, rationale=f"{agent} thinks so")


def feedback(*said: tuple[str, str | None, Assessment | None, float]) -> Feedback:
    return Feedback.join(
        [opinion(agent, label) for agent, label, _, _ in said],
        [Assessed(user=agent, assessment=kind, confidence=sure) for agent, _, kind, sure in said if kind],
    )


MIXED = feedback(
    ("ann", "fake", CORRECT, 0.9),
    ("bob", "real", PARTLY, 0.8),
    ("cy", "real", PARTLY, 0.4),
    ("dee", "real", WRONG, 0.9),
)
EASY = feedback(("ann", "fake", CORRECT, 0.9), ("bob", "fake", CORRECT, 0.7))
HARD = feedback(("ann", "real", WRONG, 0.9), ("bob", "real", PARTLY, 0.3))


def script(messages: Any, schema: Any) -> str:
    """Plays every role by what it is asked for."""
    system, user = messages[0]["content"], messages[1]["content"]
    if "reasoning" in schema["properties"]:
        who = "coordinator" if "These people are right" in user else "summarizer"
        return json.dumps({"reasoning": f"{who} of {user.count('Person ')}\nVerdict: nonsense"})
    role = "adversary" if "mistaken reasoning" in system else "broadcast" if "Everybody" in user else "refine"
    return json.dumps({"reason": f"{role} words"})


def writer(reply: Callable[..., Any] = script, **settings: Any) -> tuple[Synthesizer, ScriptedModel]:
    model = ScriptedModel(reply)
    return Synthesizer(Speaker(TASK, model), ScotSettings(**settings), persona_of=lambda user: f"I am {user}"), model


async def test_a_mixed_post_is_refined_by_the_right_and_the_surely_partly_right() -> None:
    made, model = writer()
    pair = await made.pair(POST, MIXED)
    assert isinstance(pair, PreferencePair)
    assert pair.chosen_text == "coordinator of 2\nVerdict: fake", "ann and bob; the model's own verdict line is gone"
    assert pair.rejected_text == "summarizer of 1\nVerdict: real", "dee alone is incorrect"
    assert (pair.kind, pair.n, pair.n_correct, pair.n_partial) == ("mixed", 4, 1, 2)
    assert pair.sc == pytest.approx(1 - (1 + 2 / 3) / 4, abs=1e-6)
    assert pair.sc_range is None
    assert pair.opinions == tuple(o.hash for o in MIXED.opinions)
    personas = [r.messages[0]["content"] for r in model.requests if "Who you are" in r.messages[0]["content"]]
    assert ["I am ann" in text or "I am bob" in text for text in personas] == [True, True]
    assert not any("Person ann" in str(r.messages) for r in model.requests), "names say nothing to the Coordinator"


async def test_an_easy_post_gets_an_adversary_and_a_hard_one_the_truth() -> None:
    easy, model = writer()
    pair = await easy.pair(POST, EASY)
    assert isinstance(pair, PreferencePair)
    assert (pair.kind, pair.sc, pair.rejected_text) == ("easy", 0.0, "summarizer of 1\nVerdict: real")
    assert any("adversary words" in str(r.messages) for r in model.requests)
    hard, model = writer()
    pair = await hard.pair(POST, HARD)
    assert isinstance(pair, PreferencePair)
    assert (pair.kind, pair.n_correct, pair.chosen_text) == ("hard", 0, "coordinator of 2\nVerdict: fake")
    assert sum("Everybody who was asked got it wrong" in str(r.messages) for r in model.requests) == 2


async def test_without_an_incorrect_user_the_partly_correct_speak_for_the_wrong_side() -> None:
    made, model = writer()
    pair = await made.pair(POST, feedback(("ann", "fake", CORRECT, 0.9), ("bob", "real", PARTLY, 0.9)))
    assert isinstance(pair, PreferencePair)
    assert pair.rejected_text == "summarizer of 1\nVerdict: real"
    assert not any("mistaken reasoning" in str(r.messages) for r in model.requests)


async def test_where_nobody_counts_there_is_no_pair_and_a_reason() -> None:
    made, model = writer()
    skipped = await made.pair(POST, feedback(("ann", None, None, 0), ("bob", "real", None, 0)))
    assert skipped == Skipped(id="p", reason="no user's opinion could be used")
    assert model.requests == []


async def test_a_coordinator_that_fails_leaves_a_reason_and_no_pair() -> None:
    def broken(messages: Any, schema: Any) -> str:
        return "no json" if "reasoning" in schema["properties"] else script(messages, schema)

    skipped = await writer(broken)[0].pair(POST, MIXED)
    assert isinstance(skipped, Skipped)
    assert (skipped.reason, skipped.outcome) == ("the Coordinator gave no reasoning", Outcome.UNPARSABLE)


async def test_members_that_all_refuse_leave_their_own_outcome() -> None:
    def refusing(messages: Any, schema: Any) -> Completion:
        return Completion(model="m", refusal="no")

    skipped = await writer(refusing)[0].pair(POST, MIXED)
    assert isinstance(skipped, Skipped)
    assert (skipped.reason, skipped.outcome) == ("no user could be made to reason for the gold label", Outcome.REFUSED)


async def test_the_judge_is_offered_only_what_makes_sense_and_its_failure_counts_nowhere() -> None:
    seen = []

    def reply(messages: Any, schema: Any) -> str:
        seen.append(schema["properties"]["assessment"]["enum"])
        return json.dumps({"assessment": "incorrect", "confidence": 0.6})

    judge = FeedbackJudge(Speaker(TASK, ScriptedModel(reply)))
    one = await judge.assess(POST, opinion("ann", "fake"), "fake")
    await judge.assess(POST, opinion("bob", "real"), "fake")
    assert seen == [["correct", "incorrect"], ["partially_correct", "incorrect"]]
    assert (one.assessment, one.confidence) == (WRONG, 0.6)
    failed = await FeedbackJudge(Speaker(TASK, ScriptedModel(["?", "?"]))).assess(POST, opinion("ann", "fake"), "fake")
    assert (failed.assessment, failed.outcome) == (None, Outcome.UNPARSABLE)
    joined = Feedback.join(
        [opinion("ann", "fake"), opinion("bob", "real")], [failed, Assessed(user="bob", assessment=WRONG)]
    )
    assert (joined.n, joined.missing) == (1, 1)


def test_missing_users_widen_sc_into_a_range() -> None:
    said = feedback(("ann", "fake", CORRECT, 1), ("bob", "real", WRONG, 1), ("cy", None, None, 0))
    pair = frame(POST, said, TASK, ScotSettings(), chosen="a", rejected="b")
    assert (pair.n, pair.sc, pair.sc_range) == (
        2,
        0.5,
        (pytest.approx(1 / 3, abs=1e-6), pytest.approx(2 / 3, abs=1e-6)),
    )


def test_partials_may_be_counted_only_where_the_judge_was_sure() -> None:
    wide = frame(POST, MIXED, TASK, ScotSettings(), chosen="a", rejected="b")
    narrow = frame(POST, MIXED, TASK, ScotSettings(confident_partials_only=True), chosen="a", rejected="b")
    assert (wide.n_partial, narrow.n_partial) == (2, 1)
    assert wide.sc < narrow.sc


def test_a_pair_names_the_files_that_its_prompt_has_parts_for() -> None:
    media = (Media(path="/a.wav", type="audio"), Media(path="/b.png"), Media(path="/c.mp4", type="video"))
    shown = POST.model_copy(update={"media": media})
    pair = frame(shown, MIXED, TASK, ScotSettings(), chosen="a", rejected="b")
    assert (pair.images, pair.videos, pair.audios) == (("/b.png",), ("/c.mp4",), ("/a.wav",))
    assert [part["type"] for part in pair.prompt[0]["content"]] == ["audio", "image", "video", "text"]


def test_later_rounds_are_re_samples_and_count_nowhere() -> None:
    again = Feedback.join([opinion("ann", "fake"), opinion("ann", "real").model_copy(update={"round": 1})],
                          [Assessed(user="ann", assessment=CORRECT)])  # fmt: skip
    assert again.n == 1


def test_kinds_and_the_wrong_label() -> None:
    assert [kind_of(x) for x in (EASY, MIXED, HARD)] == ["easy", "mixed", "hard"]
    assert wrong_label(MIXED, "fake", TASK) == "real"
    assert wrong_label(EASY, "fake", TASK) == "real"


def test_a_pair_whose_answers_are_the_same_is_no_pair() -> None:
    with pytest.raises(ValueError, match="are the same"):
        frame(POST, MIXED, TASK, ScotSettings(), chosen="a", rejected="a")


def test_an_audit_by_hand() -> None:
    judge = {("p", "a"): CORRECT, ("p", "b"): WRONG, ("q", "a"): CORRECT, ("q", "b"): PARTLY}
    second = {("p", "a"): CORRECT, ("p", "b"): PARTLY, ("q", "a"): CORRECT, ("r", "a"): WRONG}
    audit = audit_judge(judge, second)
    assert (audit.both, audit.only_judge, audit.only_annotator) == (3, 1, 1)
    assert audit.agreement == pytest.approx(2 / 3)
    # Chance: correct 2/3 * 2/3, partly 0 * 1/3, incorrect 1/3 * 0 = 4/9; kappa (2/3 - 4/9) / (5/9).
    assert audit.kappa == pytest.approx((2 / 3 - 4 / 9) / (5 / 9))
    assert audit.confusion == {"correct > correct": 2, "incorrect > partially_correct": 1}
    # On p the judge's sc is 1 - 1/2, the annotator's 1 - (1/2 + 1/2) = 0; q has a user that only the judge assessed.
    assert (audit.sc_posts, audit.sc_shift_mean) == (1, 0.5)
    with pytest.raises(BadInput, match="no post and user in common"):
        audit_judge(judge, {("z", "z"): WRONG})
