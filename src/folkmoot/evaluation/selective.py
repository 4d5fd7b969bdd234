"""Selective judging: what is gained by leaving the posts that a judge is least sure of to somebody else."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from folkmoot.records import Record


class OperatingPoint(Record):
    """Judging only posts with at least this confidence: the share judged, and the share wrong among those."""

    threshold: float
    coverage: float
    risk: float


class RiskCoverage(Record):
    """The curve from the surest posts to all that have a confidence. `aurc` is the area below it; lower is better."""

    points: tuple[OperatingPoint, ...] = ()
    aurc: float | None = None

    def at(self, coverage: float) -> OperatingPoint | None:
        """The point that judges the smallest share of at least `coverage`; None where the judge does not get so far."""
        return next((point for point in self.points if point.coverage >= coverage - 1e-12), None)


def risk_coverage(confidence: NDArray[np.float64], correct: NDArray[np.bool_], *, n: int) -> RiskCoverage:
    """The risk-coverage curve of posts with a confidence, of `n` in all.

    Posts of one confidence are taken together, since no threshold can part them. AURC is the mean risk over posts,
    each taken at the threshold that just lets it in (Geifman and El-Yaniv 2017, on the posts with a confidence).
    """
    if not len(confidence):
        return RiskCoverage()
    order = np.argsort(-confidence, kind="stable")
    sorted_confidence = confidence[order]
    last_of_tie = np.append(np.flatnonzero(np.diff(sorted_confidence)), len(order) - 1)
    risk = np.cumsum(~correct[order])[last_of_tie] / (last_of_tie + 1)
    points = tuple(
        OperatingPoint(threshold=float(t), coverage=float(k / n), risk=float(r))
        for t, k, r in zip(sorted_confidence[last_of_tie], last_of_tie + 1, risk, strict=True)
    )
    taken = np.diff(last_of_tie, prepend=-1)
    return RiskCoverage(points=points, aurc=float((taken * risk).sum() / len(order)))
