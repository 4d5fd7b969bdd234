"""The grounder: its loss by hand, candidates that keep their index, and what it learns."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from folkmoot.models.sentence_encoder import SentenceEncoder
from folkmoot.records import BadInput, Observation
from folkmoot.students.grounding import (
    LONGEST_RUN,
    Describer,
    SpanScorer,
    candidates,
    named_seconds,
    open_grounder,
)
from folkmoot.training.grounding import (
    GrounderSettings,
    GroundingExample,
    group_advantages,
    grpo_loss,
    iou,
    score_spans,
    train_grounder,
)


def test_advantages_by_hand() -> None:
    found = group_advantages(torch.tensor([1.0, 0.0, 0.5]))
    spread = math.sqrt((0.25 + 0.25 + 0) / 3)
    assert found.tolist() == pytest.approx([0.5 / spread, -0.5 / spread, 0], abs=1e-6)
    assert group_advantages(torch.tensor([0.4, 0.4])).tolist() == [0, 0]


def test_the_loss_by_hand() -> None:
    new, old = torch.tensor([1.0, 0.0], requires_grad=True), torch.tensor([0.0, 0.0])
    rewards = torch.tensor([1.0, 0.0])
    pi = math.e / (math.e + 1)
    rho = [pi / 0.5, (1 - pi) / 0.5]
    gain = (min(rho[0] * 1, 1.2 * 1) + min(rho[1] * -1, max(rho[1], 0.8) * -1)) / 2
    kl = sum(math.exp(-math.log(r)) + math.log(r) - 1 for r in rho) / 2
    loss = grpo_loss(new, old, rewards, clip=0.2, beta=0.01)
    assert float(loss.detach()) == pytest.approx(-gain + 0.01 * kl, abs=1e-5)


def test_where_the_policies_are_one_the_gradient_raises_what_was_rewarded() -> None:
    logits = torch.zeros(4, requires_grad=True)
    loss = grpo_loss(logits, torch.zeros(4), torch.tensor([0.0, 1.0, 0.0, 0.0]))
    assert float(loss.detach()) == pytest.approx(0, abs=1e-6)
    loss.backward()
    assert logits.grad is not None
    assert logits.grad.argmin() == 1


@given(st.permutations(range(6)))
def test_a_candidate_keeps_its_identity(order: list[int]) -> None:
    generator = torch.Generator().manual_seed(0)
    new, old, rewards = (torch.rand(6, generator=generator) for _ in range(3))
    expected = grpo_loss(new, old, rewards)
    assert float(grpo_loss(new[order], old[order], rewards[order])) == pytest.approx(float(expected), abs=1e-5)
    if order[0] != 0:  # each list sorted by itself, as in the released code, is another loss
        assert float(grpo_loss(new.sort().values, old.sort().values, rewards)) != pytest.approx(
            float(expected), abs=1e-5
        )


def test_iou_and_scores() -> None:
    assert iou((0, 1), (1, 2)) == 0
    assert iou((0, 10), (2, 4)) == 0.2
    scores = score_spans([(0, 10), (2, 4), None, (2, 6)], [(2, 4)] * 4)
    assert scores.mean_iou == pytest.approx((0.2 + 1 + 0 + 0.5) / 4)
    assert (scores.recall_03, scores.recall_05) == (0.5, 0.5)


def clip(words: list[str]) -> tuple[Observation, ...]:
    return tuple(
        Observation(kind="speech", text=text, start_seconds=3.0 * n, end_seconds=3.0 * n + 2.5)
        for n, text in enumerate(words)
    )


def test_candidates_are_runs_of_moments_and_shots_each_once() -> None:
    shots = (
        Observation(kind="shot", start_seconds=0, end_seconds=4), Observation(kind="shot", start_seconds=4, end_seconds=8)
    )  # fmt: skip
    found = candidates([*clip(["a", "b", "c"]), *shots])
    spans = [(c.start, c.end) for c in found]
    assert len(spans) == len(set(spans))
    assert {(0, 2.5), (3, 5.5), (0, 5.5), (0, 8.5), (0, 4), (4, 8), (0, 8)} <= set(spans)
    assert next(c for c in found if (c.start, c.end) == (0, 5.5)).moments == (0, 1)
    assert max(len(c.moments) for c in candidates(clip(list("abcdefghij")))) == LONGEST_RUN
    assert candidates([Observation(kind="speech", text="untimed")]) == ()


def test_named_times() -> None:
    assert named_seconds("at 1:05, not at 10:30 pm") == [65, 630]
    assert named_seconds("nothing") == []


FEELINGS = {
    "joy": ["I am so happy today", "this is wonderful news", "what a lovely gift", "I love this"],
    "anger": ["get out of my house", "how dare you", "I am furious with you", "stop lying to me"],
}
PLAIN = [
    "the train leaves at nine",
    "pass the salt please",
    "it is on the table",
    "the shop is closed",
    "we meet at the corner",
]


def examples(count: int, seed: int) -> list[GroundingExample]:
    dice = np.random.default_rng(seed)
    made = []
    for n in range(count):
        words = [PLAIN[i] for i in dice.integers(len(PLAIN), size=6)]
        feeling = "joy" if n % 2 else "anger"
        other = "anger" if n % 2 else "joy"
        place, decoy = dice.permutation(6)[:2].tolist()
        words[place] = FEELINGS[feeling][int(dice.integers(4))]
        words[decoy] = FEELINGS[other][int(dice.integers(4))]
        made.append(
            GroundingExample(
                id=str(n),
                query=f"somebody feels {feeling}",
                observations=clip(words),
                span=(3.0 * place, 3.0 * place + 2.5),
            )
        )
    return made


@pytest.fixture(scope="module")
def describer() -> Describer:
    return Describer(SentenceEncoder())


def test_it_learns_beats_the_transcript_alone_and_comes_back_the_same(describer: Describer, tmp_path: Path) -> None:
    taught, held = examples(80, 1), examples(40, 2)
    settings = GrounderSettings(epochs=5, grpo_epochs=2, batch=16, synchronise=3)
    trained = train_grounder(taught, describer, settings, seed=0)
    assert (trained.taught, trained.unreachable) == (80, 0)
    gold = [example.span for example in held]

    def spans(scorer: SpanScorer) -> list[tuple[float, float] | None]:
        found = [scorer.ground(example.query, example.observations) for example in held]
        return [(f.start, f.end) if f else None for f in found]

    own = score_spans(spans(trained.scorer), gold)
    likest = []
    for example in held:
        texts = [o.text for o in example.observations]
        best = int(np.argmax(describer.vectors(texts) @ describer.vectors([example.query])[0]))
        likest.append((3.0 * best, 3.0 * best + 2.5))
    assert own.mean_iou > score_spans(likest, gold).mean_iou + 0.05
    assert own.mean_iou > 0.7
    trained.scorer.save(tmp_path / "grounder")
    assert spans(open_grounder(tmp_path)) == spans(trained.scorer)
    again = train_grounder(taught, describer, settings, seed=0)
    assert np.array_equal(again.scorer.weights, trained.scorer.weights)
    assert np.array_equal(again.scorer.left, trained.scorer.left)


def test_without_a_time_there_is_no_span_and_nothing_to_learn(describer: Describer) -> None:
    trained = train_grounder(examples(8, 3), describer, GrounderSettings(epochs=1, grpo_epochs=0))
    assert trained.scorer.ground("joy", [Observation(kind="speech", text="untimed")]) is None
    far = [e.model_copy(update={"span": (900.0, 901.0)}) for e in examples(4, 4)]
    with pytest.raises(BadInput, match="none of the 4"):
        train_grounder(far, describer)
    half = [*examples(4, 5), *far]
    assert train_grounder(half, describer, GrounderSettings(epochs=1, grpo_epochs=0)).unreachable == 4


def test_a_folder_that_is_no_grounders_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="--part grounder"):
        SpanScorer.load(tmp_path)
    (tmp_path / "grounder.npz").write_bytes(b"PK")
    with pytest.raises(BadInput, match="cannot be read"):
        SpanScorer.load(tmp_path)
