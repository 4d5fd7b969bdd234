"""The share of positives among unlabelled posts, estimated instead of assumed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def estimate_prior(
    probabilities: NDArray[np.floating], *, labelled_prior: float, iterations: int = 1000, tolerance: float = 1e-6
) -> float:
    """The prior of the pool under label shift, by expectation maximisation.

    Repeats q_i = p_i r / (p_i r + (1 - p_i) s), with r = pi / pi_0 and s = (1 - pi) / (1 - pi_0), and pi = mean(q),
    until pi stands still. pi_0 is the share of positives among the labelled posts, and p_i a classifier's calibrated
    probability that pool post i is positive.

    Args:
        probabilities: [N], of the pool.
        labelled_prior: pi_0, in (0, 1).

    Paper: Saerens, Latinne and Decaestecker 2002, Eq. 2.6.
    """
    p = np.clip(np.asarray(probabilities, dtype=np.float64), 1e-6, 1 - 1e-6)
    prior = labelled_prior
    for _ in range(iterations):
        positive = p * prior / labelled_prior
        negative = (1 - p) * (1 - prior) / (1 - labelled_prior)
        updated = float((positive / (positive + negative)).mean())
        if abs(updated - prior) < tolerance:
            return updated
        prior = updated
    return prior
