"""Which frames stand for a video: the clearest of each of its segments, or evenly spaced ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from folkmoot.perception.medium import Unreadable, decoding_errors, open_container, reason

CANDIDATES_PER_FRAME = 2
"""FakeAgent's code: 16 candidates for 8 frames."""
MARGIN_SECONDS = 0.1
"""Candidates start and end so far from the video's ends (FakeAgent's code)."""
WEIGHTS = {"sharpness": 0.4, "contrast": 0.3, "entropy": 0.3}
FULL_MARKS = {"sharpness": 1000.0, "contrast": 127.5, "entropy": 8.0}
"""What each is divided by: 1000 for the Laplacian's variance (chosen; larger counts as 1), half of the grey range, and
the entropy of 256 equally frequent greys in bits."""
LARGEST_SIDE = 1280
"""Frames are kept no larger (chosen: text stays readable)."""
SEEK_FRAMES = 600
"""The most frames decoded on the way to a wanted time (chosen: a key frame every 20 s at 30 frames a second)."""


class Frame(NamedTuple):
    """A frame at its time: RGB of [height, width, 3] in bytes."""

    seconds: float
    pixels: NDArray[np.uint8]
    quality: float


def frame_quality(grey: NDArray[np.uint8]) -> float:
    """How much there is to see in a grey picture, in [0, 1]; higher is better.

    quality = 0.4 * sharpness + 0.3 * contrast + 0.3 * entropy: the variance of the Laplacian, the standard deviation
    of the greys, and the entropy of their histogram, each scaled to [0, 1].

    Args:
        grey: [height, width].

    Paper: "Explainable Attribution of Fake Micro-videos" (FakeAgent, arXiv 2603.25423), its reference code.
    Departs: the code's scales are not known; ours are `FULL_MARKS`.
    """
    values = grey.astype(np.float32)
    if min(values.shape) < 3:
        sharpness = 0.0
    else:
        laplacian = values[:-2, 1:-1] + values[2:, 1:-1] + values[1:-1, :-2] + values[1:-1, 2:] - 4 * values[1:-1, 1:-1]
        sharpness = float(laplacian.var())
    share = np.bincount(grey.ravel(), minlength=256) / grey.size
    present = share[share > 0]
    measured = {
        "sharpness": sharpness,
        "contrast": float(values.std()),
        "entropy": float(-(present * np.log2(present)).sum()),
    }
    return sum(weight * min(measured[name] / FULL_MARKS[name], 1.0) for name, weight in WEIGHTS.items())


def candidate_seconds(duration: float, *, frames: int, choice: str) -> tuple[tuple[float, ...], ...]:
    """The times to look at, one group for each frame that is wanted.

    With `uniform`, one time a group, the middle of its segment. With `quality`, `linspace(0.1, duration - 0.1)` split
    over `frames` equal segments.
    """
    if choice == "uniform":
        return tuple(((n + 0.5) * duration / frames,) for n in range(frames))
    margin = min(MARGIN_SECONDS, duration / 4)
    times = np.linspace(margin, duration - margin, frames * CANDIDATES_PER_FRAME)
    return tuple(tuple(map(float, group)) for group in np.split(times, frames))


def choose_frames(
    path: Path, kind: str, *, duration: float, frames: int, choice: str, seen: Sequence[Frame] = ()
) -> tuple[Frame, ...]:
    """The frames that stand for the video, in the order of time, each once.

    Args:
        seen: the frames at the candidates' times, where a pass over the video has them already.

    Raises:
        Unreadable: not one frame can be decoded.
    """
    groups = candidate_seconds(duration, frames=frames, choice=choice)
    found = seen or _frames_at(path, kind, [t for group in groups for t in group])
    by_time = {frame.seconds: frame for frame in found}
    chosen: dict[float, Frame] = {}
    for n in range(len(groups)):
        start, end = n * duration / frames, (n + 1) * duration / frames
        inside = [f for t, f in sorted(by_time.items()) if start <= t < end or (n == len(groups) - 1 and t >= start)]
        if inside:
            best = max(inside, key=lambda frame: frame.quality)
            chosen[best.seconds] = best
    if not chosen:
        raise Unreadable("no frame of it can be decoded")
    return tuple(chosen[seconds] for seconds in sorted(chosen))


def _frames_at(path: Path, kind: str, times: Sequence[float]) -> Iterator[Frame]:
    """The frame shown at each time, as far as it can be decoded."""
    container = open_container(path, kind)
    broken = decoding_errors()
    with container:
        if not container.streams.video:
            raise Unreadable("it has no video track")
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        for time in times:
            try:
                container.seek(int(time / stream.time_base), stream=stream, backward=True)
                frame = None
                for number, decoded in enumerate(container.decode(stream)):
                    frame = decoded
                    if (decoded.time or 0.0) + 1e-6 >= time or number >= SEEK_FRAMES:
                        break
            except broken:
                continue  # a hole in the file; the other times may still be there
            if frame is not None:
                pixels = to_pixels(frame)
                yield Frame(round(float(frame.time or 0.0), 3), pixels, frame_quality(to_grey(pixels)))


def to_pixels(frame: Any, *, largest_side: int = LARGEST_SIDE) -> NDArray[np.uint8]:
    """PyAV's frame as RGB bytes, no side longer than `largest_side`."""
    scale = min(1.0, largest_side / max(frame.width, frame.height))
    width, height = max(1, round(frame.width * scale)), max(1, round(frame.height * scale))
    pixels: NDArray[np.uint8] = frame.to_ndarray(format="rgb24", width=width, height=height)
    return pixels


def shrunk(pixels: NDArray[np.uint8], *, largest_side: int) -> tuple[NDArray[np.uint8], float]:
    """A picture, grey or RGB, with no side longer than `largest_side`, and what its coordinates are to be multiplied by."""
    from PIL import Image

    height, width = pixels.shape[:2]
    scale = max(1.0, max(height, width) / largest_side)
    if scale == 1:
        return pixels, scale
    small = Image.fromarray(pixels).resize((max(1, round(width / scale)), max(1, round(height / scale))))
    return np.asarray(small), scale


def to_grey(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """RGB -> grey by ITU-R BT.601's weights."""
    grey: NDArray[np.uint8] = np.rint(
        pixels.astype(np.float32) @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    ).astype(np.uint8)
    return grey


def jpeg(pixels: NDArray[np.uint8], *, largest_side: int = LARGEST_SIDE, quality: int = 85) -> bytes:
    """The picture as JPEG, to show or to send to a model."""
    import io

    from PIL import Image

    picture = Image.fromarray(pixels)
    picture.thumbnail((largest_side, largest_side))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def frame_pictures(path: Path, kind: str, times: Sequence[float]) -> tuple[Frame, ...]:
    """The frames at exactly these times, as they were chosen before.

    Raises:
        Unreadable: the video cannot be opened.
    """
    try:
        return tuple(_frames_at(path, kind, times))
    except decoding_errors() as error:
        raise Unreadable(reason(error)) from None
