"""Calibration, abstention, the prior, and the small scores of training."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from folkmoot.records import BadInput
from folkmoot.students import Calibration
from folkmoot.training.calibration import choose_abstention, choose_first_look, fit_beta, fit_platt
from folkmoot.training.prior import estimate_prior
from folkmoot.training.scores import macro_f1, sigmoid


def test_platt_finds_the_scale_and_shift_that_made_the_labels() -> None:
    dice = np.random.default_rng(0)
    logits = dice.normal(size=20_000)
    gold = dice.random(20_000) < sigmoid(2 * logits - 1)
    scales, shift = fit_platt(logits[:, None], gold)
    assert scales[0] == pytest.approx(2, abs=0.1)
    assert shift == pytest.approx(-1, abs=0.1)


def test_platt_weighs_a_tower_that_knows_nothing_at_nothing() -> None:
    dice = np.random.default_rng(0)
    knows, noise = dice.normal(size=5000), dice.normal(size=5000)
    gold = dice.random(5000) < sigmoid(3 * knows)
    scales, _ = fit_platt(np.stack([knows, noise], axis=1), gold)
    assert abs(scales[1]) < 0.1 * scales[0]


def test_platt_refuses_one_class() -> None:
    with pytest.raises(BadInput, match="one label"):
        fit_platt(np.zeros((3, 1)), np.array([True, True, True]))


def skewed(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores that mean three times as much above 0 as below, and labels drawn by what they mean."""
    dice = np.random.default_rng(2)
    scores = dice.normal(0, 2, size=count)
    return scores, dice.random(count) < sigmoid(np.where(scores > 0, 3 * scores, scores) - 0.5)


def test_beta_calibration_finds_a_score_whose_two_sides_differ() -> None:
    scores, gold = skewed(20_000)
    scales, shift = fit_platt(scores[:, None], gold)
    platt = scales[0] * scores + shift
    beta = fit_beta(platt, gold)
    assert beta is not None
    meant = sigmoid(np.where(scores > 0, 3 * scores, scores) - 0.5)
    error = np.abs(Calibration(beta=beta).probabilities(platt) - meant).mean()
    assert error < 0.5 * np.abs(sigmoid(platt) - meant).mean()


def test_beta_calibration_is_left_out_where_a_line_is_as_good() -> None:
    dice = np.random.default_rng(0)
    scores = dice.normal(size=20_000)
    assert fit_beta(scores, dice.random(20_000) < sigmoid(scores)) is None


def test_beta_calibration_asks_for_enough_posts_of_each_label() -> None:
    scores, gold = skewed(20_000)
    few = np.concatenate([np.flatnonzero(gold)[:99], np.flatnonzero(~gold)])
    assert fit_beta(scores[few], gold[few]) is None


def test_beta_calibration_of_one_one_nothing_changes_nothing() -> None:
    scores = np.linspace(-50, 50, 11)
    same = Calibration(beta=(1.0, 1.0, 0.0)).probabilities(scores)
    assert same == pytest.approx(Calibration().probabilities(scores), rel=1e-12)


def test_abstention_leaves_out_just_the_doubtful_posts() -> None:
    probabilities = np.array([0.95, 0.9, 0.55, 0.52, 0.1, 0.05])
    gold = np.array([True, True, False, False, False, False])
    margin = choose_abstention(probabilities, gold, accuracy=1.0)
    decided = np.abs(probabilities - 0.5) >= margin
    assert decided.tolist() == [True, True, False, False, True, True]
    assert choose_abstention(probabilities, gold, accuracy=0.5) == 0


@pytest.mark.parametrize("prior", [0.2, 0.5, 0.8])
def test_the_prior_of_a_shifted_pool_is_found(prior: float) -> None:
    # Two normals a distance of 3 apart; the classifier is exact for balanced labels.
    dice = np.random.default_rng(1)
    positive = dice.random(20_000) < prior
    x = dice.normal(size=20_000) + np.where(positive, 1.5, -1.5)
    assert estimate_prior(sigmoid(3 * x), labelled_prior=0.5) == pytest.approx(prior, abs=0.02)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_macro_f1_lies_between_0_and_1_and_does_not_care_which_label_is_positive(
    pairs: list[tuple[bool, bool]],
) -> None:
    gold, said = np.array([g for g, _ in pairs]), np.array([s for _, s in pairs])
    score = macro_f1(gold, said)
    assert 0 <= score <= 1
    assert macro_f1(~gold, ~said) == pytest.approx(score)


FIRST = np.array([0.99, 0.95, 0.10, 0.80, 0.70, 0.40, 0.55, 0.03])
BOTH = np.array([0.90, 0.97, 0.20, 0.30, 0.90, 0.60, 0.45, 0.10])  # sureness .99 .97 .95 .90 .80* .70 .60* .55*
RIGHT = FIRST >= 0.5
"""Gold labels that the first tower knows, so that its word always lowers the log-loss."""


@pytest.mark.parametrize(
    ("agreement", "sure_from"),
    [(1.0, 0.9), (0.88, 0.9), (0.87, 0.7), (0.75, 0.6), (0.6, 0.55)],  # of eight posts one is 0.125
)
def test_the_first_look_stands_where_few_labels_would_change(agreement: float, sure_from: float) -> None:
    assert choose_first_look(FIRST, BOTH, RIGHT, agreement=agreement) == sure_from


def test_a_first_look_that_differs_where_it_is_surest_stands_nowhere() -> None:
    first, both = np.array([0.999, 0.6]), np.array([0.2, 0.6])
    assert choose_first_look(first, both, np.array([True, True]), agreement=0.99) is None


def test_a_first_look_that_is_too_sure_of_itself_stands_less() -> None:
    both, gold = np.array([0.9, 0.9, 0.9, 0.9, 0.9, 0.1]), np.array([True, True, True, True, False, False])
    first = np.array([0.91, 0.91, 0.91, 0.99999, 0.95, 0.05])  # the fifth is wrong, and surer than both: 0.69 nats more
    assert choose_first_look(first, both, gold, agreement=1.0) == 0.9999
    first[4] = 0.9
    assert choose_first_look(first, both, gold, agreement=1.0) == 0.9


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.booleans()), min_size=1, max_size=60), st.floats(0.5, 1))
def test_a_first_look_keeps_the_labels_and_the_log_loss_that_were_asked_for(
    posts: list[tuple[float, float, bool]], agreement: float
) -> None:
    first, both, gold = (np.array(side) for side in zip(*posts, strict=True))
    sure_from = choose_first_look(first, both, gold, agreement=agreement)
    if sure_from is not None:
        final = np.where(np.maximum(first, 1 - first) >= sure_from, first, both)
        assert ((final >= 0.5) == (both >= 0.5)).mean() >= agreement - 1e-9
        loss, limit = (-np.log(np.clip(np.where(gold, p, 1 - p), 1e-12, 1)).sum() for p in (final, both))
        assert loss <= 1.03 * limit + 1e-9
