"""How many faces a picture shows. They are counted, never identified, and nothing about them is kept but boxes."""

from __future__ import annotations

from functools import lru_cache
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from folkmoot.perception.frames import shrunk, to_grey
from folkmoot.records import MissingExtra

SIDE = 640
"""Faces are looked for on pictures of this size (chosen: 0.2 to 0.4 s)."""
SMALLEST = 24
NEIGHBOURS = 6
"""How many overlapping finds make a face (OpenCV's usual 3 to 6; the strict end, as false ones are worse here)."""

_looking = Lock()


class Face(NamedTuple):
    """Its box, x0, y0, x1, y1 in the picture's pixels."""

    box: tuple[float, float, float, float]


@lru_cache(maxsize=1)
def _finder() -> Any:
    try:
        import cv2
    except ImportError:
        raise MissingExtra("Counting faces", "media") from None
    folder: Any = cv2.data  # type: ignore[attr-defined]
    return cv2.CascadeClassifier(folder.haarcascades + "haarcascade_frontalface_default.xml")


def faces_name() -> str:
    """The tool and its version, as observations name it."""
    try:
        import cv2
    except ImportError:
        raise MissingExtra("Counting faces", "media") from None
    return f"opencv {cv2.__version__} haarcascade_frontalface"


def find_faces(pixels: NDArray[np.uint8]) -> tuple[Face, ...]:
    """Frontal faces in an RGB picture, from left to right. Profiles and small faces are missed.

    Raises:
        MissingExtra: OpenCV is not installed.
    """
    small, scale = shrunk(to_grey(pixels), largest_side=SIDE)
    with _looking:
        found = _finder().detectMultiScale(small, 1.1, NEIGHBOURS, minSize=(SMALLEST, SMALLEST))
    boxes = [tuple(round(float(v) * scale, 1) for v in (x, y, x + w, y + h)) for x, y, w, h in found]
    return tuple(Face((box[0], box[1], box[2], box[3])) for box in sorted(boxes))
