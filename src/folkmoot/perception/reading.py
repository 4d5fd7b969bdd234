"""OCR: the words in a picture with their boxes, and a video's on-screen text over time."""

from __future__ import annotations

import difflib
import importlib.metadata
from collections.abc import Sequence
from functools import lru_cache
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from folkmoot.perception.frames import Frame, shrunk
from folkmoot.records import MissingExtra

Box = tuple[float, float, float, float]
LARGEST_SIDE = 1280
"""Larger pictures are made smaller first (chosen: a phone's screen)."""
SHORT_SIGNS, SHORT_CONFIDENCE = 2, 0.95
"""Lines of so few signs are left out below this confidence: patterns are read as single signs (chosen on six pictures
without text)."""
SAME_TEXT = 0.75
"""The likeness, from 0 to 1, from which two readings are one text (chosen: a sign or two read otherwise)."""
SAME_PLACE = 0.3
"""The overlap of two boxes, over their union, from which they are one place (chosen)."""

_reading = Lock()


class Line(NamedTuple):
    """A line of text. `box` is x0, y0, x1, y1 in the picture's pixels."""

    text: str
    box: Box
    confidence: float


class OnScreen(NamedTuple):
    """A text and how long it stood there, in seconds."""

    text: str
    start_seconds: float
    end_seconds: float
    box: Box
    confidence: float
    readings: int


@lru_cache(maxsize=1)
def _reader() -> Any:
    try:
        from rapidocr import RapidOCR
    except ImportError:
        raise MissingExtra("Reading text in pictures", "media") from None
    return RapidOCR(params={"Global.log_level": "error"})


def ocr_name() -> str:
    """The tool and its version, as observations name it."""
    try:
        return f"rapidocr {importlib.metadata.version('rapidocr')}"
    except importlib.metadata.PackageNotFoundError:
        raise MissingExtra("Reading text in pictures", "media") from None


def read_text(pixels: NDArray[np.uint8], *, confidence: float) -> tuple[Line, ...]:
    """The lines of text in an RGB picture, [height, width, 3], from top to bottom.

    Args:
        confidence: lines that the reader is less sure of are left out.

    Raises:
        MissingExtra: RapidOCR is not installed.
    """
    pixels, scale = shrunk(pixels, largest_side=LARGEST_SIDE)
    with _reading:  # one reader, shared by all threads
        found = _reader()(np.ascontiguousarray(pixels[:, :, ::-1]))
    if found.boxes is None or found.txts is None:
        return ()
    lines = []
    for corners, text, score in zip(found.boxes, found.txts, found.scores, strict=True):
        if score >= (confidence if len(text.strip()) > SHORT_SIGNS else SHORT_CONFIDENCE) and text.strip():
            xs, ys = np.asarray(corners)[:, 0] * scale, np.asarray(corners)[:, 1] * scale
            box = (
                round(float(xs.min()), 1),
                round(float(ys.min()), 1),
                round(float(xs.max()), 1),
                round(float(ys.max()), 1),
            )
            lines.append(Line(text.strip(), box, round(float(score), 3)))
    return tuple(sorted(lines, key=lambda line: (line.box[1], line.box[0])))


def merge(readings: Sequence[tuple[Frame, tuple[Line, ...]]], *, end_seconds: float) -> tuple[OnScreen, ...]:
    """Readings of one frame after another -> texts with the time that each stood there.

    A line continues a text of the reading before where both are alike and in one place; of several readings the
    surest is kept. A text ends where the next reading no longer has it.
    """
    open_texts: list[OnScreen] = []
    done: list[OnScreen] = []
    for frame, lines in readings:
        still: list[OnScreen] = []
        for line in lines:
            before = next((text for text in open_texts if continues(text, line)), None)
            if before is None:
                still.append(OnScreen(line.text, frame.seconds, frame.seconds, line.box, line.confidence, 1))
                continue
            open_texts.remove(before)
            better = line if line.confidence > before.confidence else before
            still.append(
                OnScreen(
                    better.text, before.start_seconds, frame.seconds, better.box, better.confidence, before.readings + 1
                )
            )
        done += [text._replace(end_seconds=frame.seconds) for text in open_texts]
        open_texts = still
    done += [text._replace(end_seconds=end_seconds) for text in open_texts]
    return tuple(sorted(done, key=lambda text: (text.start_seconds, text.box[1], text.box[0])))


def continues(text: OnScreen, line: Line) -> bool:
    """Whether the line is the same text, still in its place."""
    likeness = difflib.SequenceMatcher(None, text.text, line.text, autojunk=False).ratio()
    return likeness >= SAME_TEXT and overlap(text.box, line.box) >= SAME_PLACE


def overlap(a: Box, b: Box) -> float:
    """Intersection over union of two boxes, in [0, 1].

    >>> overlap((0, 0, 2, 1), (1, 0, 3, 1))
    0.3333333333333333
    """
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    inside = width * height
    both = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return inside / (both - inside)
