"""A prompt's files, decoded as a language model's processor takes them: pictures, sounds, and the frames of clips."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from folkmoot.perception.hearing import RATE_HZ, Samples, read_sound
from folkmoot.perception.medium import CONTAINERS, Unreadable, decoding_errors, kind_of, open_container
from folkmoot.records import BadInput, MediaType

FRAMES_PER_SECOND = 2.0
"""Qwen2.5-Omni's own rate (`fps` of its processor)."""
MOST_FRAMES = 64
"""The most frames of a clip (chosen: 32 s at two a second, most micro-videos in full). Of a longer clip they stand
further apart, and the model is told how far."""
VIDEO_TOKENS = 8192
"""About how many tokens a clip may take, shared by its pairs of frames (chosen: a quarter of the 32,768 that
Qwen2.5-Omni's context holds). Frames are made smaller for it, down to what the processor accepts."""
TOKEN_PIXELS = 28 * 28
"""The part of a picture that one token shows: 2 x 2 patches of 14 x 14 pixels, in Qwen2-VL and its heirs."""
FRAMES_PER_TOKEN = 2
LONGEST_DECODED_GAP_SECONDS = 10.0
"""Where the next wanted frame is further away, the file is read from the key frame before it (chosen)."""
CONTAINER_TICKS = 1_000_000
"""In a second: the unit of a container's own duration (FFmpeg's AV_TIME_BASE)."""
SHORTEST_SOUND_SECONDS = 0.05
"""Shorter sounds have no token: one takes 40 ms."""

CANNOT_READ: dict[MediaType, tuple[str, str]] = {
    "image": ("an image", "a vision-language model"),
    "video": ("a video", "one that sees videos, such as Qwen2.5-Omni, or posts without them"),
    "audio": ("an audio file", "one that hears, such as Qwen2.5-Omni, or posts without sound"),
}
"""What a model was given, and the remedy."""


class UnreadableMedia(BadInput):
    """A prompt's picture, sound or clip is missing or broken."""


class Clip(NamedTuple):
    """A clip's frames, RGB in bytes [F, height, width, 3], and how many seconds lie between two of them."""

    frames: NDArray[np.uint8]
    seconds_apart: float


def check_media(
    files: Mapping[MediaType, Sequence[str]], turns: Sequence[Mapping[str, Any]], reads: Sequence[MediaType]
) -> None:
    """Refuses media that a model does not read, and turns with other parts than there are files.

    Raises:
        UnreadableMedia: some parts of the turns have no file, or some files no part.
        BadInput: there are media that the model does not read.
    """
    content = [part for turn in turns if not isinstance(turn["content"], str) for part in turn["content"]]
    for kind, paths in files.items():
        if paths and kind not in reads:
            what, remedy = CANNOT_READ[kind]
            known = "text and images" if "image" in reads else "text"
            raise BadInput(f"a post has {what}, and this language model reads {known} only; take {remedy}")
        parts = sum(part["type"] == kind for part in content)
        if parts and parts != len(paths):
            raise UnreadableMedia(f"a prompt has another number of parts of type '{kind}' than files")


def open_image(path: str, folder: Path | None) -> Any:
    """An image file as RGB.

    Raises:
        UnreadableMedia: it is missing or broken.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open((folder or Path()) / path) as image:
            return image.convert("RGB")
    except FileNotFoundError:
        raise UnreadableMedia("an image is missing") from None
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError):
        raise UnreadableMedia("an image cannot be read") from None


def open_sound(path: str, folder: Path | None, *, seconds: float) -> Samples:
    """The first `seconds` of a file's sound, mono at 16 kHz.

    Raises:
        UnreadableMedia: it is missing, broken or too short to be heard.
        MissingExtra: PyAV is not installed.
    """
    place = (folder or Path()) / path
    try:
        samples = read_sound(place, container_of(place), seconds=seconds).samples
    except FileNotFoundError:
        raise UnreadableMedia("an audio file is missing") from None
    except (Unreadable, OSError, ValueError):
        raise UnreadableMedia("an audio file cannot be read") from None
    if samples.size < SHORTEST_SOUND_SECONDS * RATE_HZ:
        raise UnreadableMedia("an audio file is too short")
    return samples


def open_video(path: str, folder: Path | None) -> Clip:
    """A clip's frames, evenly spaced from its first: two a second, further apart where that would be too many.

    A clip is what is seen of it. Its sound is not read beside it (Qwen2.5-Omni's `use_audio_in_video`); give that as a
    file of its own.

    Raises:
        UnreadableMedia: it is missing or broken.
        MissingExtra: PyAV is not installed.
    """
    place = (folder or Path()) / path
    try:
        container = open_container(place, container_of(place))
    except FileNotFoundError:
        raise UnreadableMedia("a video is missing") from None
    except (Unreadable, OSError, ValueError):
        raise UnreadableMedia("a video cannot be read") from None
    frames: list[NDArray[np.uint8]] = []
    with container:
        seconds = video_seconds(container)
        apart = max(1 / FRAMES_PER_SECOND, seconds / MOST_FRAMES)
        wanted = max(1, math.ceil(seconds / apart - 1e-6)) if seconds else MOST_FRAMES
        most_pixels = VIDEO_TOKENS // -(-wanted // FRAMES_PER_TOKEN) * TOKEN_PIXELS
        try:
            for frame in frames_at(container, [n * apart for n in range(wanted)], to_the_end=seconds > 0):
                frames.append(small_pixels(frame, most_pixels, like=frames[0] if frames else None))
        except decoding_errors():
            pass  # a hole in the file; what comes before it is shown
    if not frames:
        raise UnreadableMedia("a video cannot be read")
    return Clip(np.stack(frames), apart)


def container_of(path: Path) -> str:
    """The type of a container that holds sound or moving pictures, as its first bytes show it.

    Raises:
        Unreadable: it is none.
    """
    kind = kind_of(path)
    if kind not in CONTAINERS:
        raise Unreadable("it is no container of sound or moving pictures")
    return kind


def video_seconds(container: Any) -> float:
    """How long a container's first track of pictures says that it is; 0 where it does not say it or there is none."""
    if not container.streams.video:
        return 0.0
    stream = container.streams.video[0]
    if stream.duration:
        return float(stream.duration * stream.time_base)
    return container.duration / CONTAINER_TICKS if container.duration else 0.0


def frames_at(container: Any, times: Sequence[float], *, to_the_end: bool) -> Iterator[Any]:
    """The frame that is shown at each time, in seconds from the first one; times increase.

    Args:
        to_the_end: whether the last frame stands for the times after it too, as it does where the track is known to
            last that long.
    """
    if not container.streams.video:
        return
    stream = container.streams.video[0]
    stream.thread_type = "AUTO"
    wanted = deque(times)
    decoded = container.decode(stream)
    start, shown, sought = None, None, None
    while wanted:
        frame = next(decoded, None)
        if frame is None:
            break
        if frame.time is None:
            continue
        start = frame.time if start is None else start
        now = frame.time - start
        while wanted and shown is not None and wanted[0] < now - 1e-6:
            yield shown
            wanted.popleft()
        shown = frame
        if wanted and wanted[0] - now > LONGEST_DECODED_GAP_SECONDS and sought != wanted[0]:
            sought = wanted[0]
            container.seek(int((start + sought) / stream.time_base), stream=stream, backward=True)
            decoded = container.decode(stream)
    if shown is not None and wanted:
        yield from [shown] * (len(wanted) if to_the_end else 1)


def small_pixels(frame: Any, most_pixels: int, *, like: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
    """PyAV's frame as RGB [height, width, 3], of at most so many pixels, or as large as another (a stream may change)."""
    scale = min(1.0, math.sqrt(most_pixels / (frame.width * frame.height)))
    width, height = max(1, int(frame.width * scale)), max(1, int(frame.height * scale))
    if like is not None:
        height, width = like.shape[:2]
    pixels: NDArray[np.uint8] = frame.to_ndarray(format="rgb24", width=width, height=height)
    return pixels
