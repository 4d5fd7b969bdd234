"""Test-time adaptation: its update by hand, its arms, its reset bit for bit, also after a crash."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import llama, save_llama, save_qwen2_vl, tokenizer

from folkmoot.recipes.test_time import INTENTBENCH
from folkmoot.records import BadInput, Question
from folkmoot.students.branching import Branching, read_answers
from folkmoot.training.language_base import LanguageBase, load_base
from folkmoot.training.test_time import (
    AdaptationSettings,
    Attempt,
    TestTimeAdapter,
    WeightsChanged,
    adaptation_loss,
    best_attempt,
    next_baseline,
)

ASKED = Question(text="Is it tea?", options=("tea", "rain", "it"))
QUICK = AdaptationSettings(
    rank=4, alpha=8, learning_rate=1e-2, thought_tokens=6, answer_tokens=4, attempts=3, suffices=10
)


def adapter(settings: AdaptationSettings = QUICK, **options: Any) -> TestTimeAdapter:
    return TestTimeAdapter(LanguageBase(Path(), llama(), tokenizer()), settings, **options)


def asked(held: TestTimeAdapter, question: Question = ASKED, id: str = "q") -> Any:
    return held.ask(id, question, f"{question.text} Answer.", lambda answer: f"{answer}? A score.")


def test_the_update_and_the_baseline_by_hand() -> None:
    assert float(adaptation_loss(torch.tensor(2.0), 8, 5)) == 6
    assert float(adaptation_loss(torch.tensor(2.0), 3, 5)) == -4
    assert next_baseline(5, 8, 0.7) == pytest.approx(5.9)
    assert INTENTBENCH == {"attempts": 5, "suffices": 8, "learning_rate": 3e-4}
    default = AdaptationSettings()
    assert (default.attempts, default.suffices, default.baseline, default.learning_rate) == (3, 7, 5, 1e-5)


def test_the_first_of_the_best_scored_counts() -> None:
    def one(number: int, answer: str | None, score: float | None) -> Attempt:
        return Attempt(number=number, thought="", answer=answer, score=score)

    attempts = [one(1, "A", None), one(2, "B", 6), one(3, None, 9), one(4, "C", 6)]
    assert best_attempt(attempts) == attempts[1]
    assert best_attempt(attempts[:1]) == attempts[0]
    assert best_attempt([]) is None


def test_arms_begin_alike_and_every_attempt_has_an_answer() -> None:
    held = adapter()
    done = held.adapt(asked(held))
    assert len(done.best_of) == len(done.adapted) == 3
    first = done.adapted[0]
    assert (first.answer, first.thought, first.score) == (
        done.best_of[0].answer, done.best_of[0].thought, done.best_of[0].score
    )  # fmt: skip
    assert all(attempt.answer in ("A", "B", "C") for attempt in (done.greedy, *done.best_of, *done.adapted))
    assert all(attempt.loss is None for attempt in done.best_of)
    steps = [attempt for attempt in done.adapted if attempt.loss is not None]
    assert [attempt.number for attempt in steps] == [1, 2]  # T attempts take T - 1 steps at most
    baseline = 5.0
    for step in steps:
        assert step.score is not None
        assert step.nll is not None
        assert step.baseline == pytest.approx(baseline)
        assert step.loss == pytest.approx((step.score - baseline) * step.nll, rel=1e-4)
        baseline = next_baseline(baseline, step.score, 0.7)
    assert steps[-1].adapter_norm is not None
    assert steps[-1].adapter_norm > 0


def test_a_step_moves_the_attempt_the_way_of_its_score() -> None:
    moved = []
    for score in (9.0, 1.0):
        held = adapter(QUICK.model_copy(update={"dropout": 0.0}))
        held._review = lambda asked, answer, score=score: score  # type: ignore[method-assign]
        first = held.adapt(asked(held)).adapted[0]
        assert first.nll is not None
        assert first.nll_after is not None
        moved.append(first.nll_after - first.nll)
    assert moved[0] < 0 < moved[1]


def test_it_repeats_itself_and_questions_do_not_touch_one_another() -> None:
    one = adapter()
    alone = one.adapt(asked(one, id="b")).model_dump(exclude={"seconds"})
    other = adapter()
    other.adapt(asked(other, id="a"))
    assert other.adapt(asked(other, id="b")).model_dump(exclude={"seconds"}) == alone


def test_the_weights_after_are_those_before_bit_for_bit() -> None:
    held = adapter()
    before = {name: p.detach().clone() for name, p in held.model.named_parameters()}
    seen: list[bool] = []
    review = held._review

    def watched(question: Any, answer: str | None) -> float | None:
        seen.append(held.is_fresh())
        return review(question, answer)

    held._review = watched  # type: ignore[method-assign]
    held.adapt(asked(held))
    assert False in seen  # in between the adapter was another
    for name, parameter in held.model.named_parameters():
        assert torch.equal(parameter.detach().view(torch.int32), before[name].view(torch.int32)), name
        assert parameter.grad is None
    held.check_base()


def test_a_crash_in_the_middle_leaves_the_weights_as_they_were() -> None:
    held = adapter()
    before = {name: p.detach().clone() for name, p in held.model.named_parameters()}
    calls = 0
    review = held._review

    def failing(question: Any, answer: str | None) -> float | None:
        nonlocal calls
        calls += 1
        if not held.is_fresh():
            raise RuntimeError("the machine is on fire")
        return review(question, answer)

    held._review = failing  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="fire"):
        held.adapt(asked(held))
    for name, parameter in held.model.named_parameters():
        assert torch.equal(parameter.detach(), before[name]), name
    assert not held.model.training
    held._review = review  # type: ignore[method-assign]
    fresh = adapter()
    assert held.adapt(asked(held)).model_dump(exclude={"seconds"}) == fresh.adapt(asked(fresh)).model_dump(
        exclude={"seconds"}
    )


def test_changed_base_weights_and_nested_instances_are_found_out() -> None:
    held = adapter()
    with held.instance():
        with torch.no_grad():
            next(iter(held.trained.values())).add_(1)
        inner = held.instance()
        with pytest.raises(WeightsChanged, match="within another"):
            inner.__enter__()
    assert held.is_fresh()
    with torch.no_grad():
        next(iter(held._frozen.values())).add_(1e-3)
    with pytest.raises(WeightsChanged, match="base weights"):
        held.check_base()


def test_a_fresh_adapter_changes_nothing_and_sampling_has_no_dropout() -> None:
    held = adapter(QUICK.model_copy(update={"dropout": 0.5}))
    question = asked(held)
    plain = llama()
    item = Branching(question.prompt, [[5, 6, 7]])
    (with_it,), _ = read_answers(held.model, [item], padding=0, kinds=[1])
    (without,), _ = read_answers(plain, [item], padding=0, kinds=[1])
    assert torch.equal(with_it.log_prob, without.log_prob)
    done = held.adapt(question)
    assert not held.model.training
    again = adapter(QUICK.model_copy(update={"dropout": 0.0}))
    assert again.adapt(asked(again)).best_of == done.best_of


def test_thoughts_that_share_a_prefill_are_those_of_a_pass_of_their_own() -> None:
    held = adapter(QUICK.model_copy(update={"temperature": 1e-4}))  # as good as greedy, whatever the draw
    question = asked(held)
    done = held.adapt(question)
    thoughts = {done.greedy.thought, *(attempt.thought for attempt in done.best_of)}
    assert len(thoughts) == 1
    ids = list(question.prompt)
    said: list[int] = []
    with torch.inference_mode():
        for _ in range(QUICK.thought_tokens):
            token = int(llama()(input_ids=torch.tensor([ids])).logits[0, -1].argmax())
            if token in held.ends or "\n" in tokenizer().decode([token]):
                break
            said.append(token)
            ids.append(token)
    assert tokenizer().decode(said).strip() == thoughts.pop()


def test_what_shares_a_prefill_is_as_likely_as_in_a_pass_of_its_own(tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (56, 84), "orange").save(tmp_path / "p.png")
    text, sees = adapter(), TestTimeAdapter(load_base(save_qwen2_vl(tmp_path / "model")), QUICK)
    for held, images in ((text, []), (sees, [str(tmp_path / "p.png")])):
        question = held.ask("q", ASKED, "Is it tea?", lambda answer: f"{answer}? A score.", images=images)
        tokens = [7, 8, 9, 10]
        prefill = held._prefill(question)
        with torch.inference_mode():
            expected = -float(held._nll(question, tokens)) * len(tokens)
        assert held._log_prob(prefill, tokens) == pytest.approx(expected, rel=1e-4)
        halves = held._log_prob(prefill, tokens[:2]) + held._log_prob(held._extend(prefill, tokens[:2]), tokens[2:])
        assert halves == pytest.approx(expected, rel=1e-4)
    for answer in ("A", "C"):
        shared = text._review(asked(text), answer)
        apart = asked(text)
        apart.reviewed.beginning = []
        assert shared == text._review(apart, answer)


def test_it_stops_where_the_score_suffices_and_where_time_is_up() -> None:
    held = adapter(QUICK.model_copy(update={"suffices": 1.0}))
    done = held.adapt(asked(held))
    assert len(done.best_of) == len(done.adapted) == 1
    held = adapter(QUICK.model_copy(update={"max_seconds": 1e-9}))
    done = held.adapt(asked(held))
    assert len(done.best_of) == len(done.adapted) == 1


@pytest.mark.parametrize(
    "question",
    [
        Question(kind="choices", text="Which?", options=("tea", "rain")),
        Question(kind="yes_no", text="Is it?"),
        Question(kind="free", text="What is it?"),
    ],
)
def test_every_kind_of_question(question: Question) -> None:
    held = adapter()
    done = held.adapt(asked(held, question))
    for attempt in (done.greedy, *done.adapted):
        assert attempt.answer is None or question.canonical(attempt.answer) == attempt.answer
    if question.kind == "yes_no":
        assert done.greedy.answer in ("yes", "no")


def test_a_score_is_the_likeliest_or_the_mean() -> None:
    greedy, mean = (adapter(QUICK.model_copy(update={"score": how})) for how in ("greedy", "expected"))
    one, other = (held.adapt(asked(held)).best_of[0].score for held in (greedy, mean))
    assert one in range(1, 11)
    assert other is not None
    assert 1 <= other <= 10
    assert other != one


def test_a_prompt_that_is_too_long_loses_its_middle_and_says_so() -> None:
    held = TestTimeAdapter(LanguageBase(Path(), llama(context=128), tokenizer()), QUICK)
    question = held.ask("q", ASKED, "tea " * 200, lambda answer: answer)
    done = held.adapt(question)
    assert done.cut
    assert done.prompt_tokens < 128


def test_a_vision_language_model_adapts_too(tmp_path: Path) -> None:
    from PIL import Image

    folder = save_qwen2_vl(tmp_path / "model")
    Image.new("RGB", (56, 84), "orange").save(tmp_path / "p.png")
    held = TestTimeAdapter(load_base(folder), QUICK)
    assert not any("visual" in name for name in held.trained)
    question = held.ask("q", ASKED, "Is it tea?", lambda answer: answer, images=[str(tmp_path / "p.png")])
    done = held.adapt(question)
    assert len(done.adapted) == 3
    assert held.is_fresh()
    Image.new("RGB", (56, 84), "blue").save(tmp_path / "p.png")
    other = held.ask("q", ASKED, "Is it tea?", lambda answer: answer, images=[str(tmp_path / "p.png")])
    logits = held._prefill(question).logits, held._prefill(other).logits
    assert not torch.equal(*logits)


def test_a_model_without_the_layers_is_refused() -> None:
    with pytest.raises(BadInput, match="no layers called wrong"):
        adapter(QUICK.model_copy(update={"targets": ("wrong",)}))


def test_the_history_is_gone_on_with_and_the_oracle_stands_apart(tmp_path: Path) -> None:
    from folkmoot.recipes.test_time import Adaptation, run_adaptation

    base = save_llama(tmp_path / "base")
    rows = [
        {
            "id": str(n),
            "text": "tea or rain?",
            "label": "AB"[n % 2],
            "meta": {"options": ["tea", "rain"], "type": "Why"},
        }
        for n in range(4)
    ]
    path = tmp_path / "q.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = Adaptation(posts=str(path), base=str(base), settings=QUICK.model_dump(exclude_defaults=True), threads=1)
    whole = run_adaptation(recipe, tmp_path / "whole")
    assert set(whole.scores) == {"none", "best_of", "adapted"}
    assert whole.oracle["adapted"] >= whole.scores["adapted"].accuracy
    assert [pair.first for pair in whole.comparisons] == ["best_of", "adapted", "adapted"]
    assert len(whole.base_weights) == 64
    # Killed in the middle of its third line, the same command goes on.
    run_adaptation(recipe, tmp_path / "cut")
    history = tmp_path / "cut" / "history.jsonl"
    lines = history.read_text().splitlines(keepends=True)
    history.write_text("".join(lines[:2]) + lines[2][:40])
    run_adaptation(recipe, tmp_path / "cut")
    for arm in ("none", "best_of", "adapted"):
        name = f"verdicts_{arm}.jsonl"
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert history.read_text().splitlines()[:2] == [line.rstrip("\n") for line in lines[:2]]
