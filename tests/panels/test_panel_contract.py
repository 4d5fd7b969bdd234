"""What every panel of the registry must do, whichever it is."""

import asyncio
import inspect
from typing import Any

import pytest
from mild import MANIEREN, MANNERS, POST, fitted, says, text_of, with_picture

from folkmoot.models.chat import Completion
from folkmoot.models.scripted import ScriptedModel
from folkmoot.panels import PANELS, build_panel
from folkmoot.panels.registry import ANSWERING
from folkmoot.records import (
    BadInput,
    BudgetReached,
    CallFailed,
    EndpointDown,
    Judge,
    Media,
    Outcome,
    Post,
    Profile,
    Verdict,
    resolve,
)

REQUIRED: dict[str, dict[str, Any]] = {
    "few_shot": {"examples": [Post(id="e1", text="What a lovely scarf.", label="kind")]},
    "society": {"profiles": [Profile(id="one", persona="Bakes bread.")], "users": 1},
}


LOOKS = {"delphi", "video_of_thought", "mmd_agent"}
"""Panels that are shown what was perceived in a post's media, in words; their tests of it are in test_delphi.py."""


def panel(name: str, reply: Any, task: Any = MANNERS, **options: Any) -> tuple[Judge, ScriptedModel]:
    model = ScriptedModel(lambda messages, schema: fitted(reply, schema))
    return build_panel(name, task, model, **REQUIRED.get(name, {}), **options), model


@pytest.fixture(params=[name for name in PANELS if name not in ANSWERING])
def name(request: pytest.FixtureRequest) -> str:
    return request.param


async def test_a_panel_is_a_judge_whose_name_has_a_version(name: str) -> None:
    judge, _ = panel(name, says("rude"))
    assert isinstance(judge, Judge)
    assert inspect.iscoroutinefunction(judge.judge)
    assert judge.name == f"{name}:v1"
    assert judge.task == MANNERS


async def test_a_verdict_says_who_decided_what_and_why(name: str) -> None:
    judge, model = panel(name, says("rude", 0.8, "It is about the baker."))
    verdict = await judge.judge(POST)
    assert (verdict.id, verdict.label, verdict.task, verdict.judge) == ("p1", "rude", "manners", judge.name)
    labelled = [opinion for opinion in verdict.opinions if opinion.label]
    if name in LOOKS:
        assert verdict.quorum == 1
        assert len(verdict.opinions) == len(model.requests)
    else:
        assert verdict.quorum == len(labelled) == len(model.requests)
    assert verdict.probability == 0.8
    assert verdict.probabilities == {"rude": 0.8, "kind": 0.2}
    for index, sentence in enumerate(verdict.explanation):
        if name not in LOOKS:
            assert sentence.anchors == (f"opinion:{index}",)
            assert sentence.sentence == verdict.opinions[index].rationale
        assert sentence.sentence == "It is about the baker."
        assert all(resolve(anchor, verdict) for anchor in sentence.anchors)
    assert verdict.problem is None


async def test_a_verdict_survives_json(name: str) -> None:
    for reply in (says("rude"), "no json at all"):
        verdict = await panel(name, reply)[0].judge(POST)
        assert Verdict.from_line(verdict.to_line()) == verdict


async def test_equal_replies_give_equal_bytes(name: str) -> None:
    lines = {(await panel(name, says("kind"))[0].judge(POST)).to_line() for _ in range(3)}
    assert len(lines) == 1


async def test_a_panel_is_blind_to_gold(name: str) -> None:
    known = POST.model_copy(
        update={"label": "kind", "attribution": ("SECRET",), "split": "SECRET", "meta": {"gold": "SECRET"}}
    )
    judge, model = panel(name, says("rude"))
    assert await judge.judge(known) == await judge.judge(POST)
    half = len(model.requests) // 2
    assert [r.messages for r in model.requests[:half]] == [r.messages for r in model.requests[half:]]
    assert "SECRET" not in str(model.requests)


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        ("the post is rude", Outcome.UNPARSABLE),
        ('{"label": "rude"', Outcome.UNPARSABLE),
        (says("offensive"), Outcome.UNPARSABLE),
        ("", Outcome.UNPARSABLE),
        ("I'm sorry, but I can't help with that.", Outcome.REFUSED),
        (Completion(text="", model="scripted", refusal="no"), Outcome.REFUSED),
        (Completion(text="", model="scripted", finish_reason="content_filter"), Outcome.REFUSED),
        (CallFailed("the server gave up", calls=("k1",)), Outcome.CALL_FAILED),
    ],
)
async def test_a_models_failure_is_an_outcome_and_never_a_label(name: str, reply: Any, outcome: Outcome) -> None:
    verdict = await panel(name, reply)[0].judge(POST)
    assert verdict.outcome is outcome
    assert verdict.label is None
    assert verdict.probability is None
    assert verdict.quorum == 0
    described = {Outcome.ABSTAINED} if name in LOOKS else set()  # steps that describe and do not decide
    assert {opinion.outcome for opinion in verdict.opinions} - described == {outcome}
    assert verdict.problem
    assert POST.text not in verdict.problem


@pytest.mark.parametrize("error", [EndpointDown("nobody answers"), BudgetReached("the limit of calls")])
async def test_what_ends_a_run_passes_through(name: str, error: Exception) -> None:
    with pytest.raises(type(error)):
        await panel(name, error)[0].judge(POST)


async def test_a_bad_reply_is_asked_for_again_unless_reasks_is_zero(name: str) -> None:
    script = lambda messages, schema: fitted(says("rude"), schema) if len(messages) > 2 else "mumble"  # noqa: E731
    options = REQUIRED.get(name, {})
    assert (await build_panel(name, MANNERS, ScriptedModel(script), **options).judge(POST)).label == "rude"
    strict = build_panel(name, MANNERS, ScriptedModel(script), reasks=0, **options)
    assert (await strict.judge(POST)).outcome is Outcome.UNPARSABLE


async def test_calls_are_kept_on_opinion_and_verdict(name: str) -> None:
    judge, _ = panel(name, Completion(text=says("rude"), model="scripted", call="k1"))
    verdict = await judge.judge(POST)
    assert verdict.calls == ("k1",)
    assert all(opinion.calls == ("k1",) for opinion in verdict.opinions)


async def test_a_missing_picture_is_its_own_outcome_and_costs_no_call(name: str) -> None:
    if name in LOOKS:
        pytest.skip("looks at media by itself")
    judge, model = panel(name, says("rude"))
    verdict = await judge.judge(POST.model_copy(update={"media": (Media(path="/nowhere/cake.png"),)}))
    assert verdict.outcome is Outcome.MEDIA_MISSING
    assert "cake.png" in str(verdict.problem)
    assert model.requests == []


async def test_a_picture_is_shown_only_where_the_task_asks_for_pictures(name: str, tmp_path) -> None:
    if name in LOOKS:
        pytest.skip("looks at media by itself")
    post = with_picture(tmp_path)
    judge, model = panel(name, says("rude"))
    await judge.judge(post)
    assert all("data:image/png;base64," in str(request.messages) for request in model.requests)
    judge, model = panel(name, says("rude"), task=MANNERS.model_copy(update={"modalities": ("text",)}))
    await judge.judge(post)
    assert not any("base64" in str(request.messages) for request in model.requests)


async def test_a_plan_costs_nothing_and_bounds_what_is_sent(name: str, tmp_path) -> None:
    judge, model = panel(name, says("rude"))
    plan = judge.plan(POST)
    assert model.requests == []
    await judge.judge(POST)
    assert plan.calls_min <= len(model.requests) <= plan.calls_max
    sent = sum(len(text_of(request.messages)) // 4 for request in model.requests)
    assert 0.8 * sent <= plan.prompt_tokens
    assert plan.completion_tokens >= 256 * plan.calls_max
    more = 0 if name in LOOKS else 1000  # what is perceived is bounded, however many media there are
    assert judge.plan(with_picture(tmp_path)).prompt_tokens >= plan.prompt_tokens + more


async def test_many_posts_at_once_do_not_mix(name: str) -> None:
    async def echo(messages: Any, schema: Any) -> str:
        text = text_of(messages)
        await asyncio.sleep(0.001 * (len(text) % 3))
        return fitted(says("rude" if "number 1" in text else "kind", reason=text.split("MARKED")[1]), schema)

    judge = build_panel(name, MANNERS, ScriptedModel(echo), **REQUIRED.get(name, {}))
    posts = [Post(id=str(i), text=f"MARKED{i}MARKED number {i % 2}") for i in range(40)]
    verdicts = await asyncio.gather(*(judge.judge(post) for post in posts))
    for i, verdict in enumerate(verdicts):
        assert verdict.label == ("rude" if i % 2 else "kind")
        assert {o.rationale for o in verdict.opinions if o.label} == {str(i)}


async def test_sampling_is_an_option_that_defaults_to_greedy(name: str) -> None:
    judge, model = panel(name, says("rude"))
    await judge.judge(POST)
    assert {(r.sampling.temperature, r.sampling.seed) for r in model.requests} == {(0.0, 0)}
    warm = model.requests[0].sampling.model_copy(update={"temperature": 0.7, "seed": 3})
    judge, model = panel(name, says("rude"), sampling=warm)
    await judge.judge(POST)
    assert {r.sampling for r in model.requests} == {warm}


async def test_every_panel_speaks_a_language_for_every_task(name: str) -> None:
    options = REQUIRED.get(name, {})
    if "examples" in options:
        options = {"examples": [Post(id="e", text="Hallo", label="höflich")]}
    model = ScriptedModel(lambda messages, schema: fitted(says("unhöflich"), schema))
    assert (await build_panel(name, MANIEREN, model, **options).judge(POST)).label == "unhöflich"


def test_a_panel_is_found_with_its_version_and_no_other(name: str) -> None:
    assert build_panel(f"{name}:v1", MANNERS, ScriptedModel([]), **REQUIRED.get(name, {})).name == f"{name}:v1"
    with pytest.raises(BadInput, match="offered as"):
        build_panel(f"{name}:v9", MANNERS, ScriptedModel([]), **REQUIRED.get(name, {}))


def test_unknown_names_and_options_suggest_the_nearest() -> None:
    with pytest.raises(BadInput, match="did you mean 'negotiation'"):
        build_panel("negotation", MANNERS, ScriptedModel([]))
    with pytest.raises(BadInput, match="did you mean 'preset'"):
        build_panel("negotiation", MANNERS, ScriptedModel([]), presett="paper")
    with pytest.raises(BadInput, match="needs the option 'examples'"):
        build_panel("few_shot", MANNERS, ScriptedModel([]))
