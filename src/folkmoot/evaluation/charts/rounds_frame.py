"""The frame shared by charts whose x axis is the self-training round."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from folkmoot.evaluation.charts.frame import Frame, percent, thinned


def rounds_frame(
    rounds: Sequence[Mapping[str, Any]],
    *,
    summary: str,
    y_ticks: Sequence[float],
    y_label: str,
    y_format: Callable[[float], str] = percent,
) -> Frame:
    """A frame from the first to the last round, with half a round's room at both ends."""
    numbers = [float(record["round"]) for record in rounds]
    return Frame(
        summary=summary,
        x_ticks=thinned(numbers),
        y_ticks=y_ticks,
        x_label="round",
        y_label=y_label,
        x_format=lambda value: f"{value:.0f}",
        y_format=y_format,
        x_range=(numbers[0] - 0.6, numbers[-1] + 0.6),
    )
