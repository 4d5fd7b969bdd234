"""What is looked for in a medium, and how much of it: part of every cached result's identity."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from folkmoot.records import Record


class PerceptionSettings(Record):
    """The limits keep a stranger's file within bounds of time and memory; what they leave out is said."""

    frames: int = Field(default=8, ge=1, le=64)
    """How many frames stand for a video. Paper: FakeAgent, 8."""
    frame_choice: Literal["quality", "uniform"] = "quality"
    """The best of each segment (FakeAgent's code), or evenly spaced ones (its paper)."""
    ocr: bool = True
    ocr_frames: int = Field(default=12, ge=1)
    """The most frames of a video whose text is read (chosen: about a second each on two cores)."""
    ocr_confidence: float = Field(default=0.6, ge=0, le=1)
    """Lines below it are left out (chosen on three clips without text: patterns were read as single signs)."""
    speech: bool = True
    language: str | None = None
    """The language spoken, as `en`; found from the sound where it is not named. The embedded model knows English alone."""
    sound: bool = True
    faces: bool = True
    shots: bool = True
    provenance: bool = True
    hashes: bool = True
    events: bool = True
    scan_seconds: float = Field(default=600, gt=0)
    """How much of a clip is watched and heard through; frames come from all of it."""
    largest_pixels: int = Field(default=64_000_000, gt=0)
    """Larger pictures are decoded smaller where their format allows it, and refused where it does not."""
    largest_bytes: int = Field(default=2 << 30, gt=0)
