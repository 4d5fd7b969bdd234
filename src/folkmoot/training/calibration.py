"""Logits -> probabilities that mean what they say, and the margin within which a student abstains. Fitted on dev."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold

from folkmoot.records import BadInput

ABSTAIN_STEPS = 100
SURE_DIGITS = 4
FIRST_LOOK_LOSS = 0.03
"""The share by which a first look may raise dev's log-loss. Chosen on dev: with labels alone held to, sentiment's n-grams
decided a third of the posts and ROC-AUC fell from .897 to .887."""
BETA_FOLDS = 10
BETA_POSTS = 100
"""Posts of each label from which on a third number is fitted. Chosen."""
BETA_GAIN = 0.01
"""The share by which it must lower the log-loss: an n-gram tower's falls by 6%, an encoder's not (docs/log.md)."""


def fit_platt(logits: NDArray[np.floating], gold: NDArray[np.bool_]) -> tuple[NDArray[np.float64], float]:
    """Scales [K] and a shift so that sigmoid(logits @ scales + shift) fits the gold labels best.

    Args:
        logits: [B, K], a column a tower.
        gold: [B], whether the post is positive.

    Raises:
        BadInput: dev holds one class only.

    Paper: Platt 1999; with K = 2 it also weighs the towers against each other.
    """
    if gold.all() or not gold.any():
        raise BadInput("dev posts all have one label; calibration needs both")
    spread = logits.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    model = LogisticRegression(C=1000.0, max_iter=1000).fit(logits / spread, gold)
    return np.asarray(model.coef_[0] / spread, dtype=np.float64), float(model.intercept_[0])


def fit_beta(scores: NDArray[np.floating], gold: NDArray[np.bool_]) -> tuple[float, float, float] | None:
    """Beta calibration's (a, b, c) on calibrated scores, or None where they are as good without.

    It is kept where it lowers the log-loss of ten-fold cross-validation by `BETA_GAIN`, rises everywhere, and each
    label has `BETA_POSTS` posts.

    Args:
        scores: [B], logits of P(positive) as Platt's calibration gives them.
        gold: [B], whether the post is positive.

    Paper: Kull, Silva Filho and Flach 2017.
    """
    if min(int(gold.sum()), int((~gold).sum())) < BETA_POSTS:
        return None
    sides = np.stack([np.logaddexp(0, scores), -np.logaddexp(0, -scores)], axis=1)  # their sum is the score
    straight, bent = np.zeros(len(gold)), np.zeros(len(gold))
    for seen, unseen in StratifiedKFold(BETA_FOLDS, shuffle=True, random_state=0).split(sides, gold):
        for features, found in ((scores[:, None], straight), (sides, bent)):
            model = LogisticRegression(C=1000.0, max_iter=1000).fit(features[seen], gold[seen])
            found[unseen] = model.predict_proba(features[unseen])[:, 1]
    if log_loss(gold, bent) > (1 - BETA_GAIN) * log_loss(gold, straight):
        return None
    model = LogisticRegression(C=1000.0, max_iter=1000).fit(sides, gold)
    above, below = (float(slope) for slope in model.coef_[0])
    return (above, below, float(model.intercept_[0])) if above > 0 and below > 0 else None


def choose_abstention(
    probabilities: NDArray[np.floating], gold: NDArray[np.bool_], *, accuracy: float, threshold: float = 0.5
) -> float:
    """The smallest margin around the threshold such that the posts outside it reach `accuracy` on dev.

    Returns 0 where deciding every post is good enough, and the widest margin tried where nothing is.
    """
    margins = np.linspace(0, min(threshold, 1 - threshold), ABSTAIN_STEPS, endpoint=False)
    correct = (probabilities >= threshold) == gold
    for margin in margins:
        decided = np.abs(probabilities - threshold) >= margin
        if decided.any() and correct[decided].mean() >= accuracy:
            return float(margin)
    return float(margins[-1])


def choose_first_look(
    first: NDArray[np.floating],
    both: NDArray[np.floating],
    gold: NDArray[np.bool_],
    *,
    agreement: float,
    threshold: float = 0.5,
) -> float | None:
    """How sure the first tower must be for its word to stand without the second one's being asked.

    The lowest sureness, so that the fewest posts are read twice, at which a share `agreement` of dev's labels is that of
    both towers, and the log-loss of the probabilities rises by no more than `FIRST_LOOK_LOSS`; None where there is none.

    Args:
        first, both: P(positive) of dev posts by the first tower and by both, [B].
        gold: whether each is positive, [B].
    """
    sure = np.floor(np.maximum(first, 1 - first) * 10**SURE_DIGITS) / 10**SURE_DIGITS
    differs = (first >= threshold) != (both >= threshold)
    losses = [-np.log(np.clip(np.where(gold, given, 1 - given), 1e-12, 1)) for given in (first, both)]
    bearable = (1 + FIRST_LOOK_LOSS) * losses[1].sum() + 1e-12
    for level in np.unique(sure):  # the lowest first
        stands = sure >= level
        if differs[stands].sum() > (1 - agreement) * len(first):
            continue
        if np.where(stands, *losses).sum() <= bearable:
            return float(level)
    return None
