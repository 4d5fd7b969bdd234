"""Long-tail events: rare, short moments that may decide, written out as text so that no summary loses them.

Paper: MODF-SIR (arXiv 2606.12018) has a model name them; here they are found by measurement, in a pass that costs no
call: a burst of motion, a jump in loudness, text that flashes by, a shot of a few frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from folkmoot.perception.hearing import RATE_HZ, WINDOW_SECONDS, loudness
from folkmoot.perception.reading import OnScreen
from folkmoot.perception.scan import Shot
from folkmoot.records import Observation

T = TypeVar("T")

TOOL = "folkmoot events v1"
BURST_MADS = 6.0
"""How many median absolute deviations above the median a moment's motion must be (chosen)."""
BURST_LEAST = 12.0
"""... and how many greys at the least (chosen)."""
CUT_SECONDS = 1.1
"""So long after a cut, two samples, the change is the cut's own."""
JUMP_DB = 15.0
"""How far above the median loudness a half second must be (chosen)."""
FLASH_SECONDS = 1.0
"""Text that stands for no longer flashes by (chosen)."""
FLASH_CONFIDENCE, FLASH_SIGNS = 0.9, 4
"""What may be a pattern that was read as a sign is no event (chosen)."""
SHORT_SHOT_SECONDS = 0.6
MOST_OF_A_KIND = 5
"""Rare is what there are few of: where a kind has more, the strongest are kept."""


def motion_bursts(seconds: Sequence[float], motion: Sequence[float], shots: Sequence[Shot]) -> list[Observation]:
    """Moments in which the picture changes far more than usual, other than at a cut."""
    if len(motion) < 8:
        return []
    values = np.asarray(motion)
    middle = float(np.median(values))
    spread = float(np.median(np.abs(values - middle))) or 1.0
    cuts = [shot.start_seconds for shot in shots if shot.start_seconds > 0]
    found = [
        (value, second)
        for second, value in zip(seconds, motion, strict=True)
        if value >= max(BURST_LEAST, middle + BURST_MADS * spread)
        and all(not -0.05 <= second - cut <= CUT_SECONDS for cut in cuts)
    ]
    return [
        _event(f"A sudden movement: the picture changes by {value:.0f} greys where {middle:.0f} are usual.",
               max(0.0, second - 0.5), second, min(1.0, value / 64))
        for value, second in _strongest(found)
    ]  # fmt: skip


def loud_moments(samples: NDArray[np.float32]) -> list[Observation]:
    """Half seconds that are far louder than the sound around them."""
    window = int(WINDOW_SECONDS * RATE_HZ)
    levels = [loudness(samples[start : start + window]) for start in range(0, samples.size, window)]
    heard = [level for level in levels if level > -60]
    if len(heard) < 8:
        return []
    middle = float(np.median(heard))
    found = [(level - middle, n * WINDOW_SECONDS) for n, level in enumerate(levels) if level - middle >= JUMP_DB]
    return [
        _event(f"A sudden loud sound, {above:.0f} dB above what is usual.", second, second + WINDOW_SECONDS,
               min(1.0, above / 40))
        for above, second in _strongest(found)
    ]  # fmt: skip


def flashing_text(texts: Sequence[OnScreen]) -> list[Observation]:
    """Text that stands on the screen for a second or less."""
    found = [
        (text.confidence, text)
        for text in texts
        if text.end_seconds - text.start_seconds <= FLASH_SECONDS
        and text.confidence >= FLASH_CONFIDENCE
        and len(text.text) >= FLASH_SIGNS
    ]
    return [
        _event(f"Text flashes by: {text.text}", text.start_seconds, text.end_seconds, text.confidence, box=text.box)
        for _, text in _strongest(found)
    ]


def short_shots(shots: Sequence[Shot]) -> list[Observation]:
    """Shots of a few frames between longer ones."""
    found = [
        (SHORT_SHOT_SECONDS - (shot.end_seconds - shot.start_seconds), shot)
        for shot in shots[1:]
        if shot.end_seconds - shot.start_seconds <= SHORT_SHOT_SECONDS
    ]
    if len(found) > len(shots) / 3:
        return []  # a fast edit all through is no rare moment
    return [
        _event(
            f"A shot of {shot.end_seconds - shot.start_seconds:.1f} s only.", shot.start_seconds, shot.end_seconds, 0.5
        )
        for _, shot in _strongest(found)
    ]


def _strongest(found: list[tuple[float, T]]) -> list[tuple[float, T]]:
    strongest = sorted(found, key=lambda pair: -pair[0])[:MOST_OF_A_KIND]
    return [pair for pair in found if pair in strongest]


def _event(
    text: str, start: float, end: float, confidence: float, *, box: tuple[float, float, float, float] | None = None
) -> Observation:
    return Observation(
        kind="event", text=text, start_seconds=round(start, 2), end_seconds=round(end, 2), box=box, tool=TOOL,
        confidence=round(confidence, 3),
    )  # fmt: skip
