"""The risk-coverage curve."""

from __future__ import annotations

from markupsafe import Markup

from folkmoot.evaluation.charts.frame import Frame, percent, round_ticks
from folkmoot.evaluation.selective import RiskCoverage

MOST_POINTS = 400
"""Chosen: more than the drawing has pixels across."""


def draw_risk_coverage(curve: RiskCoverage) -> Markup:
    """The share wrong (up) among the surest share of posts (across)."""
    if not curve.points:
        return Markup("")
    points = list(curve.points)
    if len(points) > MOST_POINTS:
        points = [points[round(k * (len(points) - 1) / (MOST_POINTS - 1))] for k in range(MOST_POINTS)]
    # The first few posts alone jump between 0% and 100%; the curve starts where two percent of posts are in.
    steady = [point for point in points if point.coverage >= 0.02] or points
    last = points[-1]
    frame = Frame(
        summary=f"Share wrong by share judged, up to {percent(last.risk)} wrong at {percent(last.coverage)} judged.",
        x_ticks=[0, 0.25, 0.5, 0.75, 1],
        y_ticks=round_ticks(0, max(0.02, *(point.risk for point in steady))),
        x_label="share of posts judged, the surest first",
        y_label="share wrong among them",
        height=340,
    )
    area = " ".join(f"{frame.x(p.coverage):.1f},{frame.y(p.risk):.1f}" for p in steady)
    frame.add(
        f'<polygon class="area" points="{frame.x(steady[0].coverage):.1f},{frame.y(0):.1f} {area} '
        f'{frame.x(steady[-1].coverage):.1f},{frame.y(0):.1f}"/>'
    )
    frame.line([(point.coverage, point.risk) for point in steady], "best")
    marked = {point.coverage: point for share in (0.25, 0.5, 0.75, 0.9, 1.0) if (point := curve.at(share))}
    for point in marked.values():
        frame.dot(
            point.coverage,
            point.risk,
            "kept",
            title=f"{percent(point.coverage)} judged (at least {percent(point.threshold)} sure): "
            f"{percent(point.risk)} wrong",
        )
    return frame.svg()
