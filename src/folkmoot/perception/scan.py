"""One pass over a video's pictures: its shots, how much each moment changes, and the frames whose text may be new."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from folkmoot.perception.frames import Frame, frame_quality, to_grey, to_pixels
from folkmoot.perception.medium import Unreadable, decoding_errors, open_container, reason
from folkmoot.records import MissingExtra

SMALL_SIDE = 160
"""Changes are measured on pictures of this size (chosen: shots show as well, at a hundredth of the work)."""
TEXT_SAMPLE_SECONDS = 0.5
"""On-screen text is looked for so often (chosen: subtitles stay for a second and more)."""
TEXT_CHANGE = 10.0
"""The mean change of edges, in greys, in one of the tiles, from which a frame's text may be new (chosen)."""
TILE = 20
"""The side of a tile on the picture of 320: a line of small text fills one."""


class Shot(NamedTuple):
    """Seconds from cut to cut."""

    start_seconds: float
    end_seconds: float


class Scan(NamedTuple):
    """What the pass saw. `motion` is the mean change in greys against the sample before, at `seconds`."""

    seconds: tuple[float, ...]
    motion: tuple[float, ...]
    shots: tuple[Shot, ...]
    text_frames: tuple[Frame, ...]
    """The frames whose text is to be read, in order; each stands for the time up to the next."""
    wanted_frames: tuple[Frame, ...]
    """The frames at the wanted times."""
    text_samples: int
    """How many frames could have had new text; more than `text_frames` where the limit left some out."""
    watched_seconds: float
    problem: str | None
    """Why the pass ended before its limit, where the file broke off."""


def scan(
    path: Path, kind: str, *, seconds: float, text_frames: int, shots: bool = True, wanted: Sequence[float] = ()
) -> Scan:
    """What one pass over the first `seconds` of the video sees.

    Args:
        wanted: times whose frames are kept, so that nobody has to seek for them again.

    Shots are those of PySceneDetect's content detector with its own threshold.

    Raises:
        Unreadable: there is no video track.
        MissingExtra: PySceneDetect is not installed and shots are wanted.
    """
    detector = timecode = None
    if shots:
        try:
            from scenedetect import FrameTimecode
            from scenedetect.detectors import ContentDetector
        except ImportError:
            raise MissingExtra("Shot boundaries (with the wheels of requirements/media.txt)", "media") from None
        detector, timecode = ContentDetector(), FrameTimecode
    container = open_container(path, kind)
    times: list[float] = []
    motion: list[float] = []
    cuts: list[float] = []
    candidates: list[tuple[float, Frame]] = []
    problem = None
    before: NDArray[np.uint8] | None = None
    edges_before: NDArray[np.float32] | None = None
    next_text, last = 0.0, 0.0
    waiting, caught = sorted(wanted), []
    with container:
        if not container.streams.video:
            raise Unreadable("it has no video track")
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        rate = float(stream.average_rate or 25)
        seconds_of: list[float] = []
        frames = iter(container.decode(stream))
        for number in itertools.count():
            try:
                decoded = next(frames)
            except StopIteration:
                break
            except decoding_errors() as error:
                problem = f"decoding stopped at {last:.1f} s: {reason(error)}"
                break
            last = float(decoded.time if decoded.time is not None else number / rate)
            if last > seconds:
                break
            seconds_of.append(last)
            if waiting and last + 1e-6 >= waiting[0]:
                pixels = to_pixels(decoded)
                caught.append(Frame(round(last, 3), pixels, frame_quality(to_grey(pixels))))
                waiting = [time for time in waiting if time > last + 1e-6]
            small = to_pixels(decoded, largest_side=SMALL_SIDE)
            if detector is not None and timecode is not None:
                cuts += [
                    seconds_of[min(cut.frame_num, number)]
                    for cut in detector.process_frame(timecode(number, fps=rate), small[:, :, ::-1])
                ]
            if last + 1e-6 < next_text:
                continue
            next_text = last + TEXT_SAMPLE_SECONDS
            grey = to_grey(small)
            edges = edge_map(to_grey(to_pixels(decoded, largest_side=2 * SMALL_SIDE)))
            change = 255.0 if edges_before is None else greatest_change(edges, edges_before)
            times.append(round(last, 3))
            motion.append(0.0 if before is None else float(np.abs(grey.astype(np.int16) - before).mean()))
            before = grey
            if change >= TEXT_CHANGE:
                candidates.append((change, Frame(round(last, 3), to_pixels(decoded), 0.0)))
                edges_before = edges
                if len(candidates) > 4 * text_frames:  # a long clip: keep memory bounded, the greatest changes first
                    candidates = thin(candidates, 2 * text_frames)
    kept = thin(candidates, text_frames)
    bounds = [0.0, *sorted(set(cuts)), round(last, 3)] if times else []
    found = tuple(Shot(round(a, 3), round(b, 3)) for a, b in itertools.pairwise(bounds) if b > a)
    return Scan(
        tuple(times),
        tuple(round(value, 3) for value in motion),
        found if shots else (),
        tuple(frame for _, frame in kept),
        tuple(caught),
        len(candidates),
        round(last, 3),
        problem,
    )


def thin(candidates: Sequence[tuple[float, Frame]], most: int) -> list[tuple[float, Frame]]:
    """At most so many, spread over the time: the greatest change of each of `most` equal stretches."""
    if len(candidates) <= most:
        return list(candidates)
    groups = np.array_split(np.arange(len(candidates)), most)
    return [max((candidates[n] for n in group), key=lambda candidate: candidate[0]) for group in groups]


def greatest_change(edges: NDArray[np.float32], before: NDArray[np.float32]) -> float:
    """The mean change within the tile that changes most: new text is small beside a picture."""
    rows, columns = edges.shape[0] // TILE, edges.shape[1] // TILE
    if rows == 0 or columns == 0:
        return float(np.abs(edges - before).mean())
    tiles = np.abs(edges - before)[: rows * TILE, : columns * TILE].reshape(rows, TILE, columns, TILE)
    return float(tiles.mean(axis=(1, 3)).max())


def edge_map(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    """How steep the greys are, where overlaid text shows more than what moves behind it."""
    values = grey.astype(np.float32)
    edges = np.zeros_like(values)
    edges[:, 1:] += np.abs(np.diff(values, axis=1))
    edges[1:, :] += np.abs(np.diff(values, axis=0))
    return edges
