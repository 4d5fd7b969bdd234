"""The few numbers that training itself needs at every step, on plain arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def sigmoid(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """1 / (1 + exp(-logit)), without overflow."""
    return np.asarray(1 / (1 + np.exp(-np.clip(logits.astype(np.float64), -40, 40))))


def macro_f1(gold: NDArray[np.bool_], predicted: NDArray[np.bool_]) -> float:
    """The mean of both classes' F1, in [0, 1]; higher is better. A class that neither side names counts 0.

    Example:
        >>> macro_f1(np.array([True, True, False, False]), np.array([True, False, False, False]))
        0.7333333333333334
    """
    scores = []
    for label in (True, False):
        both = int(((gold == label) & (predicted == label)).sum())
        named = int((gold == label).sum() + (predicted == label).sum())
        scores.append(2 * both / named if named else 0.0)
    return float(np.mean(scores))


def area_under_curve(scores: NDArray[np.floating], positive: Sequence[bool]) -> float:
    """The chance that a positive post scores above a negative one, ties counting half; 0.5 without both kinds.

    Example:
        >>> area_under_curve(np.array([0.1, 0.4, 0.8]), [False, True, True])
        1.0
    """
    gold = np.asarray(positive, dtype=bool)
    if gold.all() or not gold.any():
        return 0.5
    difference = np.asarray(scores)[gold][:, None] - np.asarray(scores)[~gold][None, :]
    return float(((difference > 0) + 0.5 * (difference == 0)).mean())
