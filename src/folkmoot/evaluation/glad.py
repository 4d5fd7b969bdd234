"""What the truth probably is when judges differ in ability and posts in difficulty."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from folkmoot.evaluation.dawid_skene import TOLERANCE, normalised
from folkmoot.evaluation.votes import Votes

MOST_STEPS = 200
ASCENT_STEPS = 20
RATE = 0.1
ABILITY_MEAN = 1.0
"""The prior's mean of an ability: judges are taken to be better than chance, as in the paper."""


class Glad(NamedTuple):
    """`probabilities` [B, C]; `ability` [J], 0 is chance and below it contrary; `ease` [B] above 0, small is hard;
    `steps` of EM, `converged` within them."""

    probabilities: NDArray[np.float64]
    ability: NDArray[np.float64]
    ease: NDArray[np.float64]
    steps: int
    converged: bool


def glad(votes: Votes) -> Glad:
    """The truth by EM: a judge is right with probability s = sigma(ability_j * ease_i), and else says any other label.

    E: p(z_i = c) proportional to prod_j [s if y_ij = c else (1 - s) / (C - 1)]. M: gradient ascent on ability and
    log ease, with normal priors (mean 1 and 0, variance 1).

    Paper: Whitehill et al. 2009, "Whose Vote Should Count More"; labels are taken to be equally frequent.
    """
    B, J, C = votes.posts, votes.judges, votes.classes
    ability, log_ease = np.full(J, ABILITY_MEAN), np.zeros(B)
    belief = votes.shares()
    for step in range(1, MOST_STEPS + 1):
        for _ in range(ASCENT_STEPS):
            ease = np.exp(log_ease)
            right = 1 / (1 + np.exp(-ability[votes.judge] * ease[votes.post]))
            pull = belief[votes.post, votes.label] - right  # d log p / d (ability * ease), in expectation
            toward = -(ability - ABILITY_MEAN)
            np.add.at(toward, votes.judge, pull * ease[votes.post])
            easier = -log_ease.copy()
            np.add.at(easier, votes.post, pull * ability[votes.judge] * ease[votes.post])
            ability = ability + RATE * toward / np.maximum(1, np.bincount(votes.judge, minlength=J)) ** 0.5
            log_ease = np.clip(
                log_ease + RATE * easier / np.maximum(1, np.bincount(votes.post, minlength=B)) ** 0.5, -4, 4
            )
        right = np.clip(1 / (1 + np.exp(-ability[votes.judge] * np.exp(log_ease)[votes.post])), 1e-9, 1 - 1e-9)
        logs = np.zeros((B, C))
        wrong = np.log((1 - right) / max(1, C - 1))
        for label in range(C):
            np.add.at(logs[:, label], votes.post, np.where(votes.label == label, np.log(right), wrong))
        updated = normalised(logs)
        change = float(np.abs(updated - belief).max()) if B else 0.0
        belief = updated
        if change < TOLERANCE:
            return Glad(belief, ability, np.exp(log_ease), step, True)
    return Glad(belief, ability, np.exp(log_ease), MOST_STEPS, False)
