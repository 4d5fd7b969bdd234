"""Logits -> probabilities that mean what they say, and the margin within which a student abstains. Fitted on dev."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from folkmoot.records import BadInput

ABSTAIN_STEPS = 100


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
