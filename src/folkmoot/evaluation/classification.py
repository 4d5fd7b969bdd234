"""Scores of labels: accuracy, macro-F1 and balanced accuracy from counts of (gold, predicted) cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.float64]


@dataclass(frozen=True)
class LabelScores:
    """Scores of R samples over C labels; higher is better, NaN where undefined."""

    accuracy: Counts
    """(R) posts with their gold label, of all posts."""
    macro_f1: Counts
    """(R) mean F1 of the labels that occur in the gold or among the predictions."""
    balanced_accuracy: Counts
    """(R) mean recall of the labels that occur in the gold."""
    precision: Counts
    """(R, C)"""
    recall: Counts
    """(R, C)"""
    f1: Counts
    """(R, C)"""


def score_labels(counts: Counts, gold: NDArray[np.int64], predicted: NDArray[np.int64], *, classes: int) -> LabelScores:
    """The scores of R samples, given how often (R, K) each cell (gold, predicted) of K occurs in them.

    F1 = 2 TP / (2 TP + FP + FN). A post without a label (predicted -1) is a missed one of its gold label and a
    false alarm of none. A label that a sample neither holds nor predicts has no F1 and does not enter the mean; one
    that it holds but never predicts has precision, recall and F1 0.
    """
    is_gold = (gold[:, None] == np.arange(classes)).astype(np.float64)  # K, C
    is_predicted = (predicted[:, None] == np.arange(classes)).astype(np.float64)
    hits, support, claimed = counts @ (is_gold * is_predicted), counts @ is_gold, counts @ is_predicted  # R, C
    occurs = support + claimed > 0

    def ratio(above: Counts, below: Counts) -> Counts:
        return np.where(occurs, above / np.where(below > 0, below, 1.0), np.nan)

    recall, f1 = ratio(hits, support), ratio(2 * hits, support + claimed)
    return LabelScores(
        accuracy=_mean(hits.sum(1), counts.sum(1)),
        macro_f1=_mean(np.nansum(f1, 1), occurs.sum(1)),
        balanced_accuracy=_mean(np.where(support > 0, recall, 0.0).sum(1), (support > 0).sum(1)),
        precision=ratio(hits, claimed),
        recall=recall,
        f1=f1,
    )


def _mean(total: Counts, number: NDArray[np.generic]) -> Counts:
    divisor = np.asarray(number, dtype=np.float64)
    return np.where(divisor > 0, total / np.where(divisor > 0, divisor, 1.0), np.nan)
