"""The parts of a reflection team, learned from a teacher's plans, rationales and spans; and questions on the command
line from end to end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tiny_models import save_llama

from folkmoot.formats import load_task, read_posts, read_verdicts
from folkmoot.recipes.case_page import case_page
from folkmoot.recipes.social import (
    PartRecipe,
    SocialLoop,
    grounds,
    plan_lessons,
    rationale_lessons,
    read_grounding,
    run_part,
    run_social,
)
from folkmoot.records import BadInput, BadRecord, Media, Observation, Opinion, Outcome, Post, Question, Span, Verdict

TASK = load_task("social_intent")
Tell = Any


def row(number: int, *, ground: bool, answer: str = "A") -> dict[str, Any]:
    plan = [{"type": "Grounder", "value": "the cup"}, {"type": "Answer"}] if ground else [{"type": "Answer"}]
    rationale = f"<context>Ann holds it.</context><think>She won.</think><answer>{answer}</answer>"
    return {
        "id": str(number), "text": "Why does Ann smile?", "label": "A",
        "meta": {"options": ["A. She won.", "B. She lost."], "events": "Ann looks away.",
                 "gold": {"teacher_plan": plan, "rationale": rationale}},
    }  # fmt: skip


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in rows))
    return path


def test_a_plan_is_taught_in_the_planners_own_prompt(tmp_path: Path) -> None:
    posts = read_posts(write(tmp_path / "q.jsonl", [row(1, ground=True), row(2, ground=False)]), task=TASK)
    one, two = plan_lessons(posts, TASK)
    assert json.loads(one.answer) == {"ground": True, "query": "the cup", "reason": ""}
    assert json.loads(two.answer)["ground"] is False
    said = one.messages[1]["content"]
    assert "Ann looks away." in said
    assert "B. She lost." in said
    assert said.rstrip().endswith('and a "reason" in one sentence.')
    assert "She won.</think>" not in said  # gold is imitated, never shown
    assert plan_lessons([posts[0].model_copy(update={"meta": {}})], TASK) == []
    with pytest.raises(BadInput, match=r"teacher_plan"):
        grounds("Grounder", "1")


def test_a_rationale_is_taught_where_its_answer_is_the_gold_one(tmp_path: Path) -> None:
    rows = [row(1, ground=True), row(2, ground=True, answer="B")]
    (lesson,) = rationale_lessons(read_posts(write(tmp_path / "q.jsonl", rows), task=TASK), TASK)
    assert lesson.id == "1"
    assert json.loads(lesson.answer) == {"context": "Ann holds it.", "think": "She won.", "anchors": [], "answer": "A"}


def spans(path: Path, groups: str) -> Path:
    made = []
    for number, group in enumerate(groups):
        words = ["the shop is closed", "I am so happy", "pass the salt"]
        heard = [
            {"kind": "speech", "text": text, "start_seconds": 3.0 * n, "end_seconds": 3.0 * n + 2}
            for n, text in enumerate(words)
        ]
        made.append({"id": str(number), "query": "joy", "observations": heard, "span": [3.0, 5.0], "group": group})
    return write(path, made)


def test_router_and_grounder_learn_in_one_loop_and_judge(tmp_path: Path, tell: Tell) -> None:
    base = save_llama(tmp_path / "base", context=2048)
    plans = write(tmp_path / "plans.jsonl", [row(n, ground=n % 2 == 0) for n in range(4)])
    held = write(tmp_path / "held.jsonl", [row(n, ground=True) for n in range(10, 12)])
    quick = {"epochs": 1, "batch_size": 2, "lora_rank": 2, "max_tokens": 1800}
    loop = SocialLoop(
        router={"examples": str(plans), "dev": str(held), "base": str(base), "threads": 1, "settings": quick},
        grounder={"examples": str(spans(tmp_path / "s.jsonl", "abc")), "dev": str(spans(tmp_path / "d.jsonl", "de")),
                  "settings": {"epochs": 2, "grpo_epochs": 1}},
    )  # fmt: skip
    router, grounder = run_social(loop, tmp_path / "run")
    assert (router.part, router.taught, grounder.part, grounder.taught) == ("router", 4, "grounder", 3)
    assert set(router.dev) == {"n", "accuracy", "macro_f1", "majority_accuracy", "majority_macro_f1"}
    assert 0 <= grounder.dev["whole_clip_mean_iou"] <= grounder.dev["mean_iou"] <= 1
    before = (Path(router.folder) / "model.safetensors").read_bytes()
    assert run_social(loop, tmp_path / "run")[0] == router  # the same again is the same
    assert (Path(router.folder) / "model.safetensors").read_bytes() == before
    from folkmoot.recipes.judges import router_folder
    from folkmoot.students.grounding import open_grounder

    assert router_folder(str(tmp_path / "run")) == Path(router.folder)
    found = open_grounder(tmp_path / "run").ground("joy", read_grounding(tmp_path / "d.jsonl")[0].observations)
    assert found is not None
    # The distilled router is a model that the panel can ask, and part of a run's identity.
    import asyncio

    from folkmoot.models.chat import Sampling, Schema
    from folkmoot.models.loading import load_model
    from folkmoot.recipes.judges import JudgeSpec, load_router

    spec = JudgeSpec(panel="reflection", task="social_intent", router=str(tmp_path / "run"))
    assert spec.files()["router"] == Path(router.folder)
    messages = [{"role": "user", "content": "tea"}]
    schema: Schema = {"type": "object"}
    told = [
        asyncio.run(model.complete(messages, schema, Sampling(temperature=0, max_tokens=2))).usage.prompt_tokens
        for model in (load_router(str(tmp_path / "run")), load_model(f"transformers:{router.folder}"))
    ]
    assert told[0] < told[1]  # it was taught the form, and is not told the schema again


def test_what_a_part_cannot_learn_from_is_refused(tmp_path: Path, tell: Tell) -> None:
    plans = write(tmp_path / "plans.jsonl", [row(1, ground=True)])
    bare = write(tmp_path / "bare.jsonl", [{"id": "1", "text": "Why?", "meta": {"options": ["x", "y"]}}])
    with pytest.raises(BadInput, match="no post has one that a router can learn"):
        run_part(PartRecipe(part="router", examples=str(bare)), tmp_path / "r")
    with pytest.raises(BadInput, match="both in the examples and in"):
        run_part(PartRecipe(part="router", examples=str(plans), dev=str(plans)), tmp_path / "r")
    with pytest.raises(BadInput, match="groups are both"):
        run_part(
            PartRecipe(
                part="grounder",
                examples=str(spans(tmp_path / "s.jsonl", "ab")),
                dev=str(spans(tmp_path / "d.jsonl", "b")),
            ),
            tmp_path / "g",
        )
    with pytest.raises(BadRecord) as caught:
        read_grounding(write(tmp_path / "bad.jsonl", [{"id": "1", "query": "", "observations": [], "span": [1, 2]}]))
    assert caught.value.line == 1
    with pytest.raises(BadInput, match="at least one of the tables"):
        SocialLoop().parts()
    code, _, error = tell("distill", "--part", "grounder", "--out", tmp_path / "x")
    assert (code, "learns from --examples" in error) == (2, True)
    code, _, error = tell("distill", "--out", tmp_path / "x")
    assert (code, "for a --task from --pairs" in error) == (2, True)


def test_questions_from_adapt_to_evaluate_and_compare(tmp_path: Path, tell: Tell) -> None:
    base = save_llama(tmp_path / "base", context=1024)
    questions = write(
        tmp_path / "q.jsonl",
        [
            {"id": str(n), "text": "Tea?", "label": "AB"[n % 2], "meta": {"options": ["x", "y"], "type": "Why"}}
            for n in range(3)
        ],
    )
    given = ["adapt", "--posts", questions, "--base", base, "--thought-tokens", "4", "--lora-rank", "2", "--attempts", "2",
             "--suffices", "10", "--threads", "1", "--out", tmp_path / "run"]  # fmt: skip
    code, out, error = tell(*given)
    assert code == 0, error
    assert "oracle (looks at the gold answers; no method)" in out
    assert "adapted - none" in out
    again = tell(*given, "--json")
    assert again[0] == 0, again[2]
    assert json.loads(again[1])["questions"] == 3
    arms = [tmp_path / "run" / f"verdicts_{arm}.jsonl" for arm in ("none", "adapted")]
    assert [v.judge for v in read_verdicts(arms[1])] == ["test_time-adapted:v1"] * 3
    code, out, error = tell("evaluate", "--verdicts", arms[0], "--gold", questions, "--task", "social_intent")
    assert code == 0, error
    assert "questions 3, answered 3" in out
    assert "chance 0.5000" in out
    assert "IntentBench Why " in out
    code, out, error = tell(
        "compare", "--gold", questions, "--verdicts", arms[0], "--verdicts", arms[1], "--task", "social_intent"
    )
    assert code == 0, error
    assert "verdicts_adapted - verdicts_none: accuracy" in out
    code, _, error = tell("report", "--verdicts", arms[0], "--gold", questions, "--task", "social_intent")
    assert (code, "give --case ID" in error) == (2, True)
    code, _, error = tell("adapt", "--posts", questions, "--task", "offensive", "--out", tmp_path / "y")
    assert code == 2


def test_judge_reads_questions_whose_options_stand_in_meta(tmp_path: Path, tell: Tell) -> None:
    rows = [{"id": "1", "text": "Tea?", "label": "A", "meta": {"options": ["x", "y"]}}]
    given = ["judge", "--panel", "reflection", "--task", "social_intent", "--attempts", "1", "--dry-run", "--json"]
    code, out, error = tell(*given, "--posts", write(tmp_path / "q.jsonl", rows), "--out", tmp_path / "v.jsonl")
    assert code == 0, error
    assert json.loads(out)["calls_min"] == json.loads(out)["calls_max"] == 1
    bare = write(tmp_path / "bare.jsonl", [{"id": "1", "text": "Tea?"}])
    code, _, error = tell(*given, "--posts", bare, "--out", tmp_path / "v.jsonl")
    assert code == 2
    assert "line 1, field 'question'" in error


VERDICT = Verdict(
    id="q", outcome=Outcome.LABELLED, label="B", task="social_intent", judge="reflection:v1",
    opinions=(
        Opinion(agent="planner", outcome=Outcome.ABSTAINED, rationale="ground: <i>the cup</i>"),
        Opinion(agent="reasoner", label="A", rationale="maybe"),
        Opinion(agent="reviser", outcome=Outcome.ABSTAINED, rationale="score 3 of 10: no"),
        Opinion(agent="reasoner", round=1, label="B", rationale="surely"),
        Opinion(agent="reviser", round=1, outcome=Outcome.ABSTAINED, rationale="score 8.5 of 10: yes"),
    ),
    observations=(
        Observation(kind="event", text="Ann: looks away", start_seconds=2, end_seconds=3,
                    detail={"who": "Ann", "what": "looks away", "modality": "visual", "rarity": 4, "why": "she hides it"}),
    ),
    spans=(Span(start=1, end=3, why="the cup"),),
)  # fmt: skip


def test_the_page_shows_question_attempts_route_and_rare_moments() -> None:
    post = Post(id="q", question=Question(text="Why <b>?", options=("She won.", "She hides.")),
                media=(Media(path="/nowhere/clip.mp4", type="video"),))  # fmt: skip
    page = case_page(post, VERDICT, TASK)
    assert "Why &lt;b&gt;?" in page
    assert '<li class="chosen"><b>B</b>' in page
    assert "3 of 10" in page
    assert "8.5 of 10, taken" in page
    assert page.count("taken") == page.count('class="taken"') + page.count(", taken") + page.count("li.taken")
    assert "rarity 4 of 5" in page
    assert "ground: &lt;i&gt;the cup" in page
    assert "Asked about" in page
    assert "Suspicious" not in page
    assert "<script" not in page


def test_a_verdict_of_another_task_has_none_of_it() -> None:
    page = case_page(Post(id="q", text="t"), VERDICT.model_copy(update={"observations": ()}), load_task("offensive"))
    assert "How it went about it" not in page
    assert "Rare moments" not in page


def test_every_part_is_checked_before_the_first_one_learns(tmp_path: Path, tell: Tell) -> None:
    base = save_llama(tmp_path / "base", context=2048)
    write(tmp_path / "plans.jsonl", [row(n, ground=n % 2 == 0) for n in range(4)])
    spans(tmp_path / "s.jsonl", "ab")
    recipe = tmp_path / "r.toml"
    router = f'kind = "social"\n[router]\nexamples = "plans.jsonl"\nbase = "{base}"\n'
    for tables, said in (
        ('[grounder]\nexamples = "gone.jsonl"\n', "gone.jsonl: no such file"),
        ('[grounder]\nexamples = "s.jsonl"\ndev = "gone.jsonl"\n', "gone.jsonl: no such file"),
        ('[grounder]\nexamples = "s.jsonl"\n[grounder.settings]\nepochs = "x"\n', "table 'grounder.settings', field 'epochs'"),
        ('[grounder]\nexamples = "s.jsonl"\n[router.settings]\nlora_rnk = 2\n', "table 'router.settings', field 'lora_rnk'"),
    ):  # fmt: skip
        recipe.write_text(router + tables)
        code, _, error = tell("run", recipe, "--data", tmp_path, "--out", tmp_path / "run")
        assert code == 2
        assert said in error
        assert not (tmp_path / "run").exists()
