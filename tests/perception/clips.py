"""Small real media, made with real encoders."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

DATA = Path(__file__).parent.parent.parent / "data" / "media"


def picture(text: str = "", *, size: tuple[int, int] = (640, 360), seed: int = 0, ground: int = 90) -> Image.Image:
    """A picture with soft shapes, and a line of text on a dark bar."""
    random = np.random.default_rng(seed)
    small = random.integers(0, 255, (9, 16, 3), dtype=np.uint8)
    image = Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)
    image = Image.blend(image, Image.new("RGB", size, (ground,) * 3), 0.35)
    if text:
        draw = ImageDraw.Draw(image)
        draw.rectangle((0, size[1] - 70, size[0], size[1] - 10), fill=(0, 0, 0))
        draw.text((20, size[1] - 62), text, fill=(255, 255, 255), font=ImageFont.load_default(40))
    return image


def clip(path: Path, scenes: list[tuple[str, float, int]], *, sound: np.ndarray | None = None, rate: int = 10) -> Path:
    """An H.264 clip: each scene a text, seconds, and the seed of its picture; with AAC sound where samples are given."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        audio = container.add_stream("aac", rate=16000, layout="mono") if sound is not None else None
        for text, seconds, seed in scenes:
            pixels = np.asarray(picture(text, seed=seed))
            for _ in range(round(seconds * rate)):
                for packet in stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")):
                    container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
        if audio is not None:
            frame = av.AudioFrame.from_ndarray(sound.astype(np.float32).reshape(1, -1), format="fltp", layout="mono")
            frame.sample_rate = 16000
            for packet in [*audio.encode(frame), *audio.encode()]:
                container.mux(packet)
    return path


def tone(seconds: float, *, hz: float = 440.0, level: float = 0.3) -> np.ndarray:
    return level * np.sin(2 * np.pi * hz * np.arange(int(seconds * 16000)) / 16000)
