"""What the truth probably is when many imperfect judges have spoken: each judge has a confusion matrix of their own."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from folkmoot.evaluation.votes import Votes

SMOOTHING = 0.5
"""Added to every count of a judge's confusion matrix (Jeffreys' prior, chosen): a judge who was never wrong on three
posts is not infallible."""
TOLERANCE = 1e-6
MOST_STEPS = 500


class DawidSkene(NamedTuple):
    """`probabilities` [B, C] of each post's labels; `confusion` [J, C, C]: what judge j says (last axis) of posts whose
    truth is c; `shares` [C] of the labels; `steps` of EM, `converged` within them."""

    probabilities: NDArray[np.float64]
    confusion: NDArray[np.float64]
    shares: NDArray[np.float64]
    steps: int
    converged: bool


def dawid_skene(votes: Votes, *, smoothing: float = SMOOTHING) -> DawidSkene:
    """The maximum a posteriori truth by expectation-maximisation, begun from the majority's shares.

    E: p(z_i = c) proportional to pi_c prod_j confusion_j[c, y_ij]. M: pi and the confusions from these weights.

    Paper: Dawid and Skene 1979, "Maximum Likelihood Estimation of Observer Error-Rates Using the EM Algorithm".
    Departs: counts are smoothed.
    """
    B, J, C = votes.posts, votes.judges, votes.classes
    belief = votes.shares()
    confusion = np.full((J, C, C), 1 / C)
    prior = np.full(C, 1 / C)
    for step in range(1, MOST_STEPS + 1):
        counts = np.full((J, C, C), smoothing)
        for label in range(C):
            said = votes.label == label
            np.add.at(counts[:, :, label], votes.judge[said], belief[votes.post[said]])
        confusion = counts / counts.sum(2, keepdims=True)
        prior = (belief.sum(0) + smoothing) / (B + C * smoothing)
        logs = np.tile(np.log(prior), (B, 1))
        np.add.at(logs, votes.post, np.log(confusion[votes.judge, :, votes.label]))
        updated = normalised(logs)
        change = float(np.abs(updated - belief).max()) if B else 0.0
        belief = updated
        if change < TOLERANCE:
            return DawidSkene(belief, confusion, prior, step, True)
    return DawidSkene(belief, confusion, prior, MOST_STEPS, False)


def normalised(logs: NDArray[np.float64]) -> NDArray[np.float64]:
    """exp(logs), each row scaled to sum to 1."""
    powers = np.exp(logs - logs.max(1, keepdims=True))
    return np.asarray(powers / powers.sum(1, keepdims=True))
