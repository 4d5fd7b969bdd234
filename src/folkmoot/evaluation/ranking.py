"""Scores of a ranking: how well probabilities put the right posts first. Higher is better."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def roc_auc(score: NDArray[np.float64], positive: NDArray[np.bool_]) -> float | None:
    """The chance that a positive post scores above a negative one, ties counting half; None without both kinds.

    The area under the ROC curve, by ranks: (sum of the positives' mid-ranks - p(p+1)/2) / (p n).
    """
    p, n = int(positive.sum()), int((~positive).sum())
    if not p or not n:
        return None
    _, index, sizes = np.unique(score, return_inverse=True, return_counts=True)
    mid_rank = np.cumsum(sizes) - (sizes - 1) / 2
    return float((mid_rank[index][positive].sum() - p * (p + 1) / 2) / (p * n))


def average_precision(score: NDArray[np.float64], positive: NDArray[np.bool_]) -> float | None:
    """The mean precision at each recall step, without interpolation; tied scores are one step; None without positives.

    AP = sum over thresholds of (R_k - R_{k-1}) P_k.
    """
    p = int(positive.sum())
    if not p:
        return None
    order = np.argsort(-score, kind="stable")
    last_of_tie = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)
    hits = np.cumsum(positive[order])[last_of_tie]
    return float((np.diff(hits, prepend=0) * hits / (last_of_tie + 1)).sum() / p)


def mean_over_labels(
    probabilities: NDArray[np.float64], gold: NDArray[np.int64], labels: tuple[str, ...], positive: str | None
) -> tuple[float | None, float | None]:
    """ROC-AUC and average precision of `positive`, or one label against the rest, averaged, where none is named."""
    columns = range(len(labels)) if positive is None else [labels.index(positive)]
    areas = [roc_auc(probabilities[:, c], gold == c) for c in columns]
    precisions = [average_precision(probabilities[:, c], gold == c) for c in columns]
    return _mean(areas), _mean(precisions)


def _mean(values: list[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return sum(defined) / len(defined) if defined else None
