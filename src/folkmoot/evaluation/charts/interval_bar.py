"""A score and its interval on a ruler."""

from __future__ import annotations

from markupsafe import Markup, escape

from folkmoot.evaluation.charts.frame import percent

WIDTH = 400


def draw_interval_bar(
    value: float,
    interval: tuple[float, float],
    *,
    axis: tuple[float, float] = (0.0, 1.0),
    mark: float | None = None,
    summary: str = "",
) -> Markup:
    """A dot at `value` with its interval as a bar, on a ruler from `axis`; `mark` is a notch to compare with."""

    def x(share: float) -> float:
        low, high = axis
        return 8 + (min(max(share, low), high) - low) / (high - low) * (WIDTH - 16)

    low, high = x(interval[0]), x(interval[1])
    summary = summary or f"{percent(value)}, 95% interval {percent(interval[0])} to {percent(interval[1])}"
    parts = [f'<line class="ruler" x1="8" x2="{WIDTH - 8}" y1="12" y2="12"/>']
    if mark is not None:
        parts.append(f'<line class="mark" x1="{x(mark):.1f}" x2="{x(mark):.1f}" y1="3" y2="21"/>')
    parts.append(f'<line class="band" x1="{low:.1f}" x2="{max(high, low + 1):.1f}" y1="12" y2="12"/>')
    parts.append(f'<circle class="value" cx="{x(value):.1f}" cy="12" r="6"/>')
    return Markup(  # numbers of ours, and an escaped summary
        f'<svg class="interval" viewBox="0 0 {WIDTH} 24" role="img" aria-label="{escape(summary)}">'
        f"<title>{escape(summary)}</title>" + "".join(parts) + "</svg>"
    )
