"""An observation: what the media show, as explicit text with its place and its maker."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from folkmoot.records.base import Record
from folkmoot.records.outcome import Outcome


class Observation(Record):
    """One thing seen or heard. Seconds from the start of the medium; `box` is x0, y0, x1, y1 in pixels.

    A modality that is missing or broken is an observation too, with the outcome that says so. `detail` holds what a
    program wants and a reader doesn't: words with their times, a hash, a manifest's fields.
    """

    kind: str
    text: str = ""
    start_seconds: float | None = None
    end_seconds: float | None = None
    box: tuple[float, float, float, float] | None = None
    tool: str = ""
    confidence: float | None = None
    outcome: Outcome = Outcome.LABELLED
    media: str | None = None
    detail: dict[str, Any] = Field(default_factory=dict)
