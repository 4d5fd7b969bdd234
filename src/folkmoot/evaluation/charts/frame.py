"""A chart's frame: scales, grid, axis labels. Sized for a phone's width, where its letters stay readable."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from markupsafe import Markup, escape

WIDTH, HEIGHT = 440, 300
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 14, 50


def percent(value: float) -> str:
    """`0.85` as `85%`, with a decimal only where it has one."""
    return f"{value * 100:.1f}".removesuffix(".0") + "%"


def round_ticks(low: float, high: float, *, at_most: int = 6) -> list[float]:
    """Round numbers that cover [low, high], the first at or below `low` and the last at or above `high`."""
    span = max(high - low, 1e-9)
    step = 10.0 ** math.floor(math.log10(span / at_most))
    step *= next(m for m in (1, 2, 5, 10, 20) if span / (step * m) <= at_most - 1)
    first = math.floor(low / step + 1e-9)
    last = math.ceil(high / step - 1e-9)
    return [round(number * step, 10) for number in range(first, max(last, first + 1) + 1)]


class Frame:
    """The SVG of one chart under construction; `x` and `y` map values to its coordinates."""

    def __init__(
        self,
        *,
        summary: str,
        x_ticks: Sequence[float],
        y_ticks: Sequence[float],
        x_label: str,
        y_label: str,
        x_format: Callable[[float], str] = percent,
        y_format: Callable[[float], str] = percent,
        x_range: tuple[float, float] | None = None,
        height: int = HEIGHT,
    ) -> None:
        self.height, self.bottom = height, height - BOTTOM
        self._x = x_range or (x_ticks[0], x_ticks[-1])
        self._y = y_ticks[0], y_ticks[-1]
        self._parts: list[str] = []
        self._summary = summary
        for tick in y_ticks:
            y = self.y(tick)
            self.add(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
            self.add(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{escape(y_format(tick))}</text>')
        for tick in x_ticks:
            self.add(
                f'<text x="{self.x(tick):.1f}" y="{self.bottom + 18}" text-anchor="middle">'
                f"{escape(x_format(tick))}</text>"
            )
        middle = (LEFT + WIDTH - RIGHT) / 2
        self.add(f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{self.bottom}" y2="{self.bottom}"/>')
        self.add(f'<text class="name" x="{middle}" y="{height - 8}" text-anchor="middle">{escape(x_label)}</text>')
        across = (TOP + self.bottom) / 2
        self.add(
            f'<text class="name" transform="rotate(-90 12 {across})" x="12" y="{across}" text-anchor="middle">'
            f"{escape(y_label)}</text>"
        )

    def x(self, value: float) -> float:
        low, high = self._x
        return LEFT + (value - low) / (high - low) * (WIDTH - RIGHT - LEFT)

    def y(self, value: float) -> float:
        low, high = self._y
        return self.bottom - (value - low) / (high - low) * (self.bottom - TOP)

    def add(self, part: str) -> None:
        """Puts finished SVG on top of what is there; text in it must be escaped already."""
        self._parts.append(part)

    def line(self, points: Iterable[tuple[float, float]], kind: str) -> None:
        """A line through values (x, y)."""
        path = " ".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in points)
        self.add(f'<polyline class="{kind}" points="{path}"/>')

    def dot(self, x: float, y: float, kind: str, *, title: str, radius: float = 4.5) -> None:
        """A dot whose title shows on hovering."""
        self.add(
            f'<circle class="{kind}" cx="{self.x(x):.1f}" cy="{self.y(y):.1f}" r="{radius:.1f}">'
            f"<title>{escape(title)}</title></circle>"
        )

    def svg(self) -> Markup:
        """The finished drawing, with its summary for those who cannot see it."""
        return Markup(  # every text in the parts was escaped where it was added
            f'<svg class="chart" viewBox="0 0 {WIDTH} {self.height}" role="img" aria-label="{escape(self._summary)}">'
            + "".join(self._parts)
            + "</svg>"
        )


def thinned(values: Sequence[float], *, at_most: int = 10) -> list[float]:
    """Every k-th value from the first, few enough to be labelled."""
    return list(values[:: max(1, math.ceil(len(values) / at_most))])
