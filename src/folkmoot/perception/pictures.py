"""A medium as pictures: itself, or the frames that stand for a video."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from folkmoot.perception.frames import choose_frames
from folkmoot.perception.medium import check, open_container, open_picture
from folkmoot.perception.settings import PerceptionSettings
from folkmoot.records import Media


class Picture(NamedTuple):
    """RGB bytes [height, width, 3]; `seconds` is None for a still picture."""

    seconds: float | None
    pixels: NDArray[np.uint8]


def pictures_of(medium: Media, settings: PerceptionSettings = PerceptionSettings()) -> tuple[Picture, ...]:
    """The picture, or the frames that `perceive` chooses of a video; none of a sound.

    Raises:
        Unreadable: the file is missing, broken or too large.
        MissingExtra: Pillow or PyAV is not installed.
    """
    path = Path(medium.path)
    kind = check(medium, settings)
    if kind.startswith("audio/"):
        return ()
    if kind.startswith("image/"):
        pixels: Any = np.asarray(open_picture(path, settings))
        return (Picture(None, pixels),)
    with open_container(path, kind) as container:
        duration = float(container.duration or 0) / 1_000_000
    chosen = choose_frames(path, kind, duration=duration, frames=settings.frames, choice=settings.frame_choice)
    return tuple(Picture(frame.seconds, frame.pixels) for frame in chosen)
