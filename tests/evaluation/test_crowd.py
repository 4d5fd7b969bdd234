"""Dawid-Skene, GLAD and the persona test on crowds whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from folkmoot.evaluation.crowd import aggregate
from folkmoot.evaluation.dawid_skene import dawid_skene
from folkmoot.evaluation.glad import glad
from folkmoot.evaluation.persona_effect import effective_answers, persona_effect
from folkmoot.evaluation.votes import Votes
from folkmoot.records import BadInput, Opinion, Outcome

LABELS = ("no", "yes")


def crowd(skill: list[float], posts: int, *, seed: int = 0) -> tuple[dict[str, tuple[Opinion, ...]], list[str]]:
    """Judges who are right with the given probabilities."""
    dice = np.random.default_rng(seed)
    truth = [LABELS[n] for n in dice.integers(0, 2, posts)]
    other = {"no": "yes", "yes": "no"}
    return {
        f"p{n}": tuple(Opinion(agent=f"j{j}", label=t if dice.random() < s else other[t]) for j, s in enumerate(skill))
        for n, t in enumerate(truth)
    }, truth


@pytest.mark.parametrize("how", ["dawid_skene", "glad"])
def test_a_good_judge_outweighs_three_who_guess(how: str) -> None:
    opinions, truth = crowd([0.95, 0.9, 0.5, 0.5, 0.5], 400)
    result, fit = aggregate(opinions, LABELS, how)  # type: ignore[arg-type]
    assert fit["converged"]
    right = np.mean(
        [max(one.probabilities, key=one.probabilities.get) == t for one, t in zip(result.values(), truth, strict=True)]
    )
    votes = np.mean([sum(o.label == t for o in said) >= 3 for said, t in zip(opinions.values(), truth, strict=True)])
    assert right > votes + 0.05
    assert all(sum(one.probabilities.values()) == pytest.approx(1, abs=1e-5) for one in result.values())


def test_dawid_skene_finds_who_is_biased_and_turns_a_contrary_judge_around() -> None:
    opinions, truth = crowd([0.9, 0.9, 0.9, 0.1], 500)
    fit = dawid_skene(Votes.of(opinions, LABELS))
    rates = [np.trace(fit.confusion[j]) / 2 for j in range(4)]
    assert rates == pytest.approx([0.9, 0.9, 0.9, 0.1], abs=0.05)
    assert np.mean([LABELS[c] == t for c, t in zip(fit.probabilities.argmax(1), truth, strict=True)]) > 0.97


def test_glad_orders_judges_by_ability_and_posts_by_ease() -> None:
    opinions, _ = crowd([0.97, 0.8, 0.6, 0.5], 400)
    votes = Votes.of(opinions, LABELS)
    fit = glad(votes)
    assert list(fit.ability) == sorted(fit.ability, reverse=True)
    agreed = np.abs(votes.shares()[:, 0] - 0.5) == 0.5
    assert fit.ease[agreed].mean() > fit.ease[~agreed].mean()


def test_one_step_of_dawid_skene_by_hand() -> None:
    """Two judges who always agree: both labels are certain, and the confusions are the smoothed counts."""
    opinions = {f"p{n}": tuple(Opinion(agent=a, label="yes" if n < 30 else "no") for a in "abcd") for n in range(40)}
    fit = dawid_skene(Votes.of(opinions, LABELS))
    # Truth: ten "no", thirty "yes". Counts 10 and 30, each plus .5 in both cells of its row.
    assert fit.confusion[0].ravel().tolist() == pytest.approx([10.5 / 11, 0.5 / 11, 0.5 / 31, 30.5 / 31], abs=1e-3)
    assert fit.shares.tolist() == pytest.approx([10.5 / 41, 30.5 / 41], abs=1e-3)


@given(st.permutations(range(5)))
@settings(max_examples=10, deadline=None)
def test_the_order_of_the_judges_changes_nothing(order: list[int]) -> None:
    opinions, _ = crowd([0.9, 0.7, 0.6, 0.5, 0.5], 30)
    mixed = {post: tuple(said[n] for n in order) for post, said in opinions.items()}
    for how in ("dawid_skene", "glad"):
        one, two = (aggregate(held, LABELS, how)[0] for held in (opinions, mixed))  # type: ignore[arg-type]
        for post in one:
            assert one[post].probabilities == pytest.approx(two[post].probabilities, abs=1e-5)


def test_a_failure_is_no_vote_and_a_post_without_votes_is_told() -> None:
    opinions = {"p": (Opinion(agent="a", label="yes"), Opinion(agent="b", outcome=Outcome.REFUSED)),
                "q": (Opinion(agent="b", outcome=Outcome.CALL_FAILED),)}  # fmt: skip
    result, _ = aggregate(opinions, LABELS, "dawid_skene")
    assert (result["p"].votes, result["q"].votes) == (1, 0)
    with pytest.raises(BadInput, match="nothing to count"):
        Votes.of({"q": opinions["q"]}, LABELS)
    with pytest.raises(BadInput, match="has the label 'maybe'"):
        Votes.of({"p": (Opinion(agent="a", label="maybe"),)}, LABELS)


def leaning(strength: float, *, repeats: int = 0, seed: int = 0) -> dict[str, tuple[Opinion, ...]]:
    """Ten users, six a post; half lean to yes and half to no, with this strength."""
    dice = np.random.default_rng(seed)
    posts = {}
    for n in range(80):
        users = dice.permutation(10)[:6]
        posts[f"p{n}"] = tuple(
            Opinion(agent=f"u{u}", round=r, label=LABELS[int(dice.random() < 0.5 + strength * (1 if u < 5 else -1))])
            for r in range(repeats + 1)
            for u in users
        )
    return posts


@pytest.mark.parametrize("repeats", [0, 2])
def test_profiles_that_matter_are_found_and_chance_is_not_taken_for_them(repeats: int) -> None:
    found = persona_effect(leaning(0.3, repeats=repeats), permutations=199)
    assert found.p < 0.02
    assert not found.is_collapsed
    chance = persona_effect(leaning(0.0, repeats=repeats), permutations=199)
    assert chance.p > 0.05
    assert chance.is_collapsed
    assert found.basis == ("repeats" if repeats else "first answers")


def test_chance_alone_is_called_an_effect_as_rarely_as_p_says() -> None:
    ps = [persona_effect(leaning(0.0, seed=seed), permutations=99).p for seed in range(40)]
    assert np.mean(np.array(ps) <= 0.05) < 0.2
    assert 0.3 < np.mean(ps) < 0.7


def test_a_society_of_one_voice_is_collapsed() -> None:
    same = {f"p{n}": tuple(Opinion(agent=f"u{u}", label="yes") for u in range(4)) for n in range(5)}
    effect = persona_effect(same, permutations=19)
    assert (effect.is_collapsed, effect.voices, effect.alpha) == (True, 1.0, None)
    assert effective_answers(["a", "b"]) == pytest.approx(2)
    with pytest.raises(BadInput, match="two users"):
        persona_effect({"p": (Opinion(agent="u", label="yes"),)})
