"""The learning curve of self-training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from folkmoot.evaluation.charts.frame import percent, round_ticks
from folkmoot.evaluation.charts.rounds_frame import rounds_frame


def draw_learning_curve(rounds: Sequence[Mapping[str, Any]]) -> Markup:
    """Dev macro-F1 by round: the best so far as a stepped line, kept rounds as dots, rolled-back ones as rings."""
    scored = [record for record in rounds if record.get("dev_macro_f1") is not None]
    if not scored:
        return Markup("")
    best: list[float] = []
    for record in scored:
        so_far = record.get("best_dev_macro_f1")
        best.append(float(record["dev_macro_f1"] if so_far is None else so_far))
    values = [float(record["dev_macro_f1"]) for record in scored] + best
    frame = rounds_frame(
        rounds,
        summary=f"Dev macro-F1 over {len(scored)} rounds, from {percent(values[0])}; best {percent(max(best))}.",
        y_ticks=round_ticks(max(0.0, min(values) - 0.003), min(1.0, max(values) + 0.003)),
        y_label="macro-F1 on dev",
    )
    steps = []
    for number, record in enumerate(scored):
        if number:
            steps.append((float(record["round"]), best[number - 1]))
        steps.append((float(record["round"]), best[number]))
    frame.line(steps, "best")
    for record in scored:
        kept = bool(record.get("accepted"))
        fate = "kept" if kept else "rolled back"
        frame.dot(
            float(record["round"]),
            float(record["dev_macro_f1"]),
            "kept" if kept else "rolled-back",
            title=f"round {record['round']}: {percent(float(record['dev_macro_f1']))}, {fate}",
        )
    return frame.svg()
