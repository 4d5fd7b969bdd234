"""What each round's batch of pseudo-labels was made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from folkmoot.evaluation.charts.frame import round_ticks
from folkmoot.evaluation.charts.rounds_frame import rounds_frame

PARTS = (
    ("agreed_positive", "agreed-positive", "agreed positive"),
    ("agreed_negative", "agreed-negative", "agreed negative"),
    ("disagreed", "disagreed", "disagreed"),
)


def draw_batch_composition(rounds: Sequence[Mapping[str, Any]]) -> Markup:
    """A stacked bar a round: posts agreed positive, agreed negative, disagreed; rolled-back rounds are paler."""
    totals = [sum(int(record.get(key) or 0) for key, _, _ in PARTS) for record in rounds]
    if not any(totals):
        return Markup("")
    frame = rounds_frame(
        rounds,
        summary=f"Posts in each of {len(rounds)} rounds' batches by whether panel and classifier agreed.",
        y_ticks=round_ticks(0, max(totals)),
        y_label="posts in the batch",
        y_format=lambda value: f"{value:,.0f}",
    )
    width = min(26.0, 0.72 * (frame.x(1) - frame.x(0)))
    for record in rounds:
        below, fate = 0, "" if record.get("accepted") else " faded"
        for key, kind, name in PARTS:
            n = int(record.get(key) or 0)
            top, bottom = frame.y(below + n), frame.y(below)
            frame.add(
                f'<rect class="{kind}{fate}" x="{frame.x(float(record["round"])) - width / 2:.1f}" y="{top:.1f}" '
                f'width="{width:.1f}" height="{bottom - top:.1f}">'
                f"<title>round {int(record['round'])}: {n} {name}</title></rect>"
            )
            below += n
    return frame.svg()
