"""Calibration: whether a judge that is 80% sure is right 80% of the time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from folkmoot.records import BadInput, Record

BINS = 15
"""Guo et al. 2017, "On Calibration of Modern Neural Networks"."""

Binning = Literal["equal_width", "equal_mass"]


class ReliabilityBin(Record):
    """The posts whose confidence lies in [`low`, `high`]: how sure the judge was, how often it was right."""

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float
    interval95: tuple[float, float]
    """Wilson's interval of the accuracy."""


def reliability_bins(
    confidence: NDArray[np.float64], correct: NDArray[np.bool_], *, bins: int = BINS, binning: Binning = "equal_width"
) -> tuple[ReliabilityBin, ...]:
    """The non-empty bins in rising order of confidence.

    `equal_width` cuts [0, 1] into parts of one width; `equal_mass` puts about as many posts in each, and keeps
    posts of one confidence together.
    """
    if not len(confidence):
        return ()
    if not ((confidence >= 0) & (confidence <= 1)).all():
        raise BadInput("calibration needs confidences between 0 and 1; got one outside, or NaN")
    if binning == "equal_width":
        cut = np.linspace(0, 1, bins + 1)
        of_post = np.clip(np.searchsorted(cut, confidence, side="left") - 1, 0, bins - 1)
    else:
        cut = np.quantile(confidence, np.linspace(0, 1, bins + 1)[1:-1], method="higher")
        of_post = np.searchsorted(np.unique(cut), confidence, side="right")
    found = []
    for number in np.unique(of_post):
        inside = of_post == number
        n, right = int(inside.sum()), int(correct[inside].sum())
        low, high = float(confidence[inside].min()), float(confidence[inside].max())
        if binning == "equal_width":
            low, high = float(cut[number]), float(cut[number + 1])
        found.append(
            ReliabilityBin(
                low=low,
                high=high,
                n=n,
                confidence=float(confidence[inside].mean()),
                accuracy=right / n,
                interval95=wilson_interval(right, n),
            )
        )
    return tuple(found)


def calibration_error(bins: Sequence[ReliabilityBin]) -> float | None:
    """The expected calibration error, sum over bins of n_b/n |accuracy_b - confidence_b|; lower is better."""
    n = sum(bin_.n for bin_ in bins)
    return sum(bin_.n * abs(bin_.accuracy - bin_.confidence) for bin_ in bins) / n if n else None


def brier_score(probabilities: NDArray[np.float64], gold: NDArray[np.int64]) -> float | None:
    """The mean squared distance of probabilities (B, C) to the gold label; lower is better.

    With two labels it is the mean of (p - y)^2, in [0, 1]; with more the squares are summed over the labels, as
    Brier 1950 does, in [0, 2].
    """
    if not len(gold):
        return None
    target = np.eye(probabilities.shape[1])[gold]
    distance = float(((probabilities - target) ** 2).sum(1).mean())
    return distance / 2 if probabilities.shape[1] == 2 else distance


def wilson_interval(right: int, n: int, *, z: float = 1.959964) -> tuple[float, float]:
    """Wilson's 95% interval of a share, sound for small n and near 0 and 1."""
    if not n:
        return 0.0, 1.0
    share, scale = right / n, 1 + z * z / n
    middle = (share + z * z / (2 * n)) / scale
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / scale
    return max(0.0, middle - half), min(1.0, middle + half)
