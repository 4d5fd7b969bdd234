"""Sounds and clips of a second or two, made by the tests."""

from __future__ import annotations

import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np


def write_tone(
    path: Path, seconds: float = 1.0, *, hz: float = 440.0, rate_hz: int = 16_000, channels: int = 1
) -> Path:
    """A sine tone as WAV of 16 bits."""
    tone = 0.3 * np.sin(2 * np.pi * hz * np.arange(int(seconds * rate_hz)) / rate_hz)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(np.repeat((tone * 32767).astype("<i2"), channels).tobytes())
    return path


def write_clip(path: Path, greys: Sequence[int], *, rate: int = 10, size: tuple[int, int] = (64, 48)) -> Path:
    """An H.264 clip without sound, one grey a frame, that can be entered at each second."""
    import av

    width, height = size
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = width, height, "yuv420p", rate
        for grey in greys:
            pixels = np.full((height, width, 3), grey, dtype=np.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path
