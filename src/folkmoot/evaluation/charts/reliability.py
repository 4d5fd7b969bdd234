"""The reliability diagram."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from folkmoot.evaluation.calibration import ReliabilityBin
from folkmoot.evaluation.charts.frame import Frame, percent


def draw_reliability(bins: Sequence[ReliabilityBin]) -> Markup:
    """How sure the judge was (across) against how often it was right (up), a dot a bin with its 95% interval.

    On the diagonal it is as sure as it should be; below it, too sure. A dot's area grows with its posts.
    """
    if not bins:
        return Markup("")
    lowest = min(min(bin_.confidence for bin_ in bins), min(bin_.accuracy for bin_ in bins))
    first = min(0.8, math.floor(lowest * 5) / 5)
    ticks = [round(first + 0.1 * step, 1) for step in range(round((1 - first) * 10) + 1)]
    if len(ticks) > 6:
        ticks = ticks[::2]
    frame = Frame(
        summary="Reliability: "
        + "; ".join(f"{percent(bin_.confidence)} sure, {percent(bin_.accuracy)} right" for bin_ in bins),
        x_ticks=ticks,
        y_ticks=ticks,
        x_label="how sure the judge was",
        y_label="how often it was right",
        height=340,
    )
    frame.line([(ticks[0], ticks[0]), (1, 1)], "ideal")
    n = sum(bin_.n for bin_ in bins)
    frame.line([(bin_.confidence, bin_.accuracy) for bin_ in bins], "thin")
    for bin_ in bins:
        low, high = (frame.y(max(end, ticks[0])) for end in bin_.interval95)
        x = frame.x(bin_.confidence)
        frame.add(f'<line class="whisker" x1="{x:.1f}" x2="{x:.1f}" y1="{low:.1f}" y2="{high:.1f}"/>')
        frame.dot(
            bin_.confidence,
            bin_.accuracy,
            "kept",
            title=f"{bin_.n} posts, {percent(bin_.confidence)} sure on average: {percent(bin_.accuracy)} right",
            radius=3.0 + 6.0 * math.sqrt(bin_.n / n),
        )
    return frame.svg()
