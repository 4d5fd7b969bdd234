"""How many pseudo-labels were right, where the truth is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from folkmoot.evaluation.charts.frame import percent, round_ticks
from folkmoot.evaluation.charts.rounds_frame import rounds_frame


def draw_pseudo_label_quality(rounds: Sequence[Mapping[str, Any]]) -> Markup:
    """The share of right pseudo-labels by round; empty where no round knows it."""
    known = [record for record in rounds if record.get("pseudo_label_accuracy") is not None]
    if not known:
        return Markup("")
    values = [float(record["pseudo_label_accuracy"]) for record in known]
    frame = rounds_frame(
        rounds,
        summary=f"Right pseudo-labels in {len(known)} rounds: {percent(min(values))} to {percent(max(values))}.",
        y_ticks=round_ticks(max(0.0, min(values) - 0.01), min(1.0, max(values) + 0.01)),
        y_label="pseudo-labels right",
    )
    frame.line([(float(record["round"]), value) for record, value in zip(known, values, strict=True)], "thin")
    for record, value in zip(known, values, strict=True):
        kind = "kept" if record.get("accepted") else "rolled-back"
        frame.dot(float(record["round"]), value, kind, title=f"round {record['round']}: {percent(value)} right")
    return frame.svg()
