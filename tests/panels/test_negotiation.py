"""Who is asked what, in which round, and what comes of it."""

import asyncio

import pytest
from mild import MANNERS, POST, WEATHER, classifier_saying, pair, role_of, round_of, says, text_of

from folkmoot.models.chat import call_key
from folkmoot.models.scripted import ScriptedModel
from folkmoot.panels import Negotiation
from folkmoot.records import CLASSIFIER, BadInput, CallFailed, EndpointDown, Outcome

DIFFER_THEN_KIND = {
    "moderator": [says("rude", 0.7, "It mocks the baker."), says("kind", 0.6, "Granted, it is about the cake.")],
    "user": [says("kind", 0.9, "Friends tease."), says("kind", 0.8, "It stays a joke.")],
}
DIFFER_FOR_GOOD = {
    "moderator": [says("rude", 0.7), says("rude", 0.6)],
    "user": [says("kind", 0.9), says("kind", 0.8)],
}
AGREE = {"moderator": [says("rude", 0.9)], "user": [says("rude", 0.7)]}


async def test_agreement_in_round_0_ends_it_after_two_calls() -> None:
    model = pair(**AGREE)
    verdict = await Negotiation(MANNERS, model).judge(POST)
    assert (verdict.label, verdict.probability, verdict.quorum) == ("rude", 0.8, 2)
    assert len(model.requests) == 2


async def test_where_they_differ_each_sees_the_others_label_and_reason_and_its_own() -> None:
    model = pair(**DIFFER_THEN_KIND)
    verdict = await Negotiation(MANNERS, model).judge(POST)
    second = {role_of(r.messages): text_of(r.messages) for r in model.requests if round_of(r.messages) == 1}
    assert set(second) == {"moderator", "user"}
    for text in second.values():
        assert "It mocks the baker." in text
        assert "Friends tease." in text
        assert POST.text in text
    assert 'The user decided "kind"' in second["moderator"]
    assert 'The moderator decided "rude"' in second["user"]
    assert (verdict.label, verdict.quorum, verdict.probability) == ("kind", 2, 0.7)
    assert [(o.agent, o.round, o.label) for o in verdict.opinions] == [
        ("moderator", 0, "rude"), ("user", 0, "kind"), ("moderator", 1, "kind"), ("user", 1, "kind"),
    ]  # fmt: skip
    assert [s.anchors for s in verdict.explanation] == [("opinion:2",), ("opinion:3",)]


async def test_the_second_round_sees_the_classifiers_label_and_the_first_does_not() -> None:
    model = pair(**DIFFER_THEN_KIND)
    verdict = await Negotiation(MANNERS, model, classifier=classifier_saying("kind")).judge(POST)
    for request in model.requests:
        shown = 'classifier trained on a few labelled posts says "kind"' in text_of(request.messages)
        assert shown == (round_of(request.messages) == 1)
    assert verdict.quorum == 3
    assert verdict.opinions[2].agent == CLASSIFIER
    assert verdict.probability == 0.7, "the agents' confidences alone"


async def test_without_a_classifier_no_line_speaks_of_one() -> None:
    model = pair(**DIFFER_THEN_KIND)
    await Negotiation(MANNERS, model).judge(POST)
    assert not any("lassifier" in text_of(request.messages) for request in model.requests)


async def test_agents_that_still_differ_abstain() -> None:
    for classifier in (None, classifier_saying("rude"), classifier_saying("kind")):
        verdict = await Negotiation(MANNERS, pair(**DIFFER_FOR_GOOD), classifier=classifier).judge(POST)
        assert verdict.outcome is Outcome.ABSTAINED
        assert verdict.problem == "the agents do not agree"
        assert verdict.probabilities == {"rude": 0.4, "kind": 0.6}
        assert verdict.probability is None


async def test_in_the_paper_agreement_must_match_the_classifier_even_in_round_0() -> None:
    verdict = await Negotiation(MANNERS, pair(**AGREE), classifier=classifier_saying("kind")).judge(POST)
    assert verdict.outcome is Outcome.ABSTAINED
    assert (await Negotiation(MANNERS, pair(**AGREE), classifier=classifier_saying("rude")).judge(POST)).label == "rude"


async def test_in_the_reference_agreement_in_round_0_does_not_ask_the_classifier() -> None:
    async def classifier(post):
        raise AssertionError("asked")

    judge = Negotiation(MANNERS, pair(**AGREE), classifier=classifier, preset="reference")
    verdict = await judge.judge(POST)
    assert (verdict.label, verdict.quorum, judge.name) == ("rude", 2, "negotiation-reference:v1")


async def test_in_the_reference_each_argues_its_assigned_stance() -> None:
    model = pair(**DIFFER_THEN_KIND)
    await Negotiation(MANNERS, model, preset="reference", classifier=classifier_saying("kind")).judge(POST)
    first = {role_of(r.messages): text_of(r.messages) for r in model.requests[:2]}
    assert 'you hold that the label of this post is "rude"' in first["moderator"]
    assert 'you hold that the label of this post is "kind"' in first["user"]


@pytest.mark.parametrize(("label", "expected"), [("kind", "kind"), ("rude", None)])
async def test_in_the_reference_a_second_round_must_match_the_classifier(label: str, expected: str | None) -> None:
    judge = Negotiation(MANNERS, pair(**DIFFER_THEN_KIND), preset="reference", classifier=classifier_saying(label))
    assert (await judge.judge(POST)).label == expected


async def test_in_the_paper_nobody_is_told_what_to_say_first() -> None:
    model = pair(**AGREE)
    await Negotiation(MANNERS, model).judge(POST)
    assert not any("you hold that" in text_of(request.messages) for request in model.requests)


@pytest.mark.parametrize("preset", ["paper", "reference"])
@pytest.mark.parametrize("script", [AGREE, DIFFER_THEN_KIND, DIFFER_FOR_GOOD])
async def test_each_label_shares_round_0_and_gives_what_judge_gives(preset, script) -> None:
    model = pair(**script)
    verdicts = await Negotiation(MANNERS, model, preset=preset).negotiate_for_each_label(POST)
    keys = [call_key("scripted", r.messages, r.schema, r.sampling) for r in model.requests]
    assert len(keys) == len(set(keys)) == (2 if script is AGREE else 6)
    for label, verdict in verdicts.items():
        alone = await Negotiation(MANNERS, pair(**script), preset=preset, classifier=classifier_saying(label)).judge(
            POST
        )
        forget = {"confidence": None}
        opinions = tuple(o.model_copy(update=forget) if o.agent == CLASSIFIER else o for o in alone.opinions)
        assert verdict == alone.model_copy(update={"opinions": opinions})


async def test_round_0_is_the_same_call_whatever_the_classifier_says() -> None:
    keys = set()
    for label in ("rude", "kind", None):
        model = pair(**DIFFER_FOR_GOOD)
        classifier = classifier_saying(label) if label else None
        await Negotiation(MANNERS, model, classifier=classifier).judge(POST)
        keys |= {call_key("scripted", r.messages, r.schema, r.sampling) for r in model.requests}
    assert len(keys) == 2 + 3 * 2


@pytest.mark.parametrize(
    ("failure", "outcome"),
    [
        ("mumble", Outcome.UNPARSABLE),
        (CallFailed("gone"), Outcome.CALL_FAILED),
        ("I cannot help.", Outcome.REFUSED),
    ],
)
async def test_one_agent_alone_gives_no_label(failure, outcome) -> None:
    model = pair(moderator=[failure], user=[says("kind")])
    asked = []

    async def classifier(post):
        asked.append(post)
        return await classifier_saying("kind")(post)

    verdict = await Negotiation(MANNERS, model, classifier=classifier).judge(POST)
    assert (verdict.outcome, verdict.label, verdict.quorum) == (outcome, None, 1)
    assert not any(round_of(r.messages) == 1 for r in model.requests), "no second round with one voice"
    assert asked == [], "nothing that it says could matter"
    assert "moderator in round 0" in str(verdict.problem)
    assert set(await Negotiation(MANNERS, model).negotiate_for_each_label(POST)) == {"rude", "kind"}


async def test_an_agent_that_fails_in_the_second_round_leaves_no_label() -> None:
    model = pair(moderator=[says("rude"), "mumble"], user=[says("kind"), says("kind")])
    verdict = await Negotiation(MANNERS, model).judge(POST)
    assert (verdict.outcome, verdict.quorum, len(verdict.opinions)) == (Outcome.UNPARSABLE, 1, 4)


@pytest.mark.parametrize("outcome", [Outcome.ABSTAINED, Outcome.CALL_FAILED])
async def test_a_silent_classifier_is_not_shown_and_is_not_agreement(outcome: Outcome) -> None:
    model = pair(**DIFFER_THEN_KIND)
    verdict = await Negotiation(MANNERS, model, classifier=classifier_saying(None, outcome)).judge(POST)
    assert verdict.outcome is outcome
    assert not any("classifier trained" in text_of(r.messages) for r in model.requests)


async def test_the_classifier_is_asked_blind_and_its_calls_are_kept() -> None:
    async def classifier(post):
        assert post.label is None
        return (await classifier_saying("rude")(post)).model_copy(update={"calls": ("c1",)})

    verdict = await Negotiation(MANNERS, pair(**AGREE), classifier=classifier).judge(
        POST.model_copy(update={"label": "kind"})
    )
    assert verdict.calls == ("c1",)


async def test_a_judge_can_be_the_classifier_and_adds_to_the_plan() -> None:
    inner = Negotiation(MANNERS, pair(**AGREE))
    outer = Negotiation(MANNERS, pair(**AGREE), classifier=inner)
    assert (await outer.judge(POST)).label == "rude"
    assert (outer.plan(POST).calls_min, outer.plan(POST).calls_max) == (4, 8)
    assert (inner.plan(POST).calls_min, inner.plan(POST).calls_max) == (2, 4)


async def test_a_classifier_of_another_task_is_bad_input() -> None:
    with pytest.raises(BadInput, match="tiny:v1"):
        await Negotiation(MANNERS, pair(**AGREE), classifier=classifier_saying("spam")).judge(POST)


async def test_the_two_agents_may_be_two_models() -> None:
    strict, lenient = pair(**AGREE), pair(**AGREE)
    await Negotiation(MANNERS, strict, user_model=lenient).judge(POST)
    assert [role_of(r.messages) for r in strict.requests] == ["moderator"]
    assert [role_of(r.messages) for r in lenient.requests] == ["user"]


async def test_both_agents_are_asked_at_once() -> None:
    both = asyncio.Barrier(2)

    async def wait(messages, schema):
        await asyncio.wait_for(both.wait(), 60)
        return says("rude")

    assert (await Negotiation(MANNERS, ScriptedModel(wait)).judge(POST)).label == "rude"


async def test_where_one_call_ends_the_run_the_other_is_awaited_first() -> None:
    finished = []

    async def reply(messages, schema):
        if role_of(messages) == "moderator":
            raise EndpointDown("nobody answers")
        await asyncio.sleep(0.01)
        finished.append("user")
        return says("rude")

    with pytest.raises(EndpointDown):
        await Negotiation(MANNERS, ScriptedModel(reply)).judge(POST)
    assert finished == ["user"]


async def test_more_than_two_labels_work_in_the_paper_preset_only() -> None:
    model = pair(moderator=[says("sun")], user=[says("sun")])
    assert (await Negotiation(WEATHER, model).judge(POST)).probabilities == {"sun": 0.9, "rain": 0.05, "snow": 0.05}
    with pytest.raises(BadInput, match="two labels"):
        Negotiation(WEATHER, model, preset="reference")
    with pytest.raises(BadInput, match="'paper' and 'reference'"):
        Negotiation(MANNERS, model, preset="repo")  # type: ignore[arg-type]
