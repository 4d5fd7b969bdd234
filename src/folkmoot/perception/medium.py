"""A stranger's file, opened carefully: by what its first bytes say, never by its name, never through another address.

Protects against: a playlist called `.mp4` that makes the decoder open other files or addresses, a picture that
unpacks to more than memory holds, endless files. Does not protect against a flaw in a decoder itself: whoever fears
that runs `folkmoot perceive` in a sandbox.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from folkmoot.models.media_parts import sniffed_type
from folkmoot.perception.settings import PerceptionSettings
from folkmoot.records import Media, MissingExtra
from folkmoot.runs.manifest import input_hash

CONTAINERS = {
    "video/mp4": "mp4", "video/webm": "matroska", "video/avi": "avi", "video/x-flv": "flv", "video/mpeg": "mpegts",
    "audio/wav": "wav", "audio/mpeg": "mp3", "audio/flac": "flac", "audio/ogg": "ogg", "audio/aac": "aac",
}  # fmt: skip
"""What a container's demuxer is called; no other is ever opened, above all no playlist."""
OPEN_SECONDS = 10.0
"""How long opening and each read may take (chosen)."""


class Unreadable(Exception):
    """This medium, or this part of it, cannot be read. The message says why, without the post's text."""


def kind_of(path: Path) -> str | None:
    """The media type that the file's first bytes show, also of containers that no endpoint takes."""
    with path.open("rb") as file:
        head = file.read(512)
    known = sniffed_type(head)
    if known is not None:
        return known
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "video/avi"
    if head[:3] == b"FLV":
        return "video/x-flv"
    if len(head) > 188 and head[0] == 0x47 and head[188] == 0x47:
        return "video/mpeg"
    if head[:2] in (b"\xff\xf1", b"\xff\xf9"):
        return "audio/aac"
    return None


def check(medium: Media, settings: PerceptionSettings) -> str:
    """The media type of a file that can be looked at.

    Raises:
        Unreadable: it is missing, empty, too large, of no known type, or was exchanged.
    """
    path = Path(medium.path)
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise Unreadable("it is no file")
        if size == 0:
            raise Unreadable("the file is empty")
        if size > settings.largest_bytes:
            raise Unreadable(f"it has {size:,} bytes; up to {settings.largest_bytes:,} are looked at")
        kind = kind_of(path)
    except (OSError, ValueError) as error:
        raise Unreadable(getattr(error, "strerror", None) or "its path is no valid one") from error
    if kind is None:
        raise Unreadable(
            "its first bytes are of no known medium. Accepted: PNG, JPEG, GIF, WebP, BMP; MP4, WebM, Matroska, AVI, "
            "FLV, MPEG-TS; WAV, MP3, FLAC, Ogg, AAC"
        )
    if medium.sha256 is not None and input_hash(path, path.name) != medium.sha256:
        raise Unreadable("its SHA-256 is not the one that the post names")
    return kind


def open_container(path: Path, kind: str) -> Any:
    """PyAV's container over the open file, so that nothing but this file can be read.

    Raises:
        Unreadable: the decoder cannot open it.
        MissingExtra: PyAV is not installed.
    """
    try:
        import av
    except ImportError:
        raise MissingExtra("Looking at video and sound", "media") from None
    file = path.open("rb")
    try:
        return av.open(file, format=CONTAINERS[kind], timeout=(OPEN_SECONDS, OPEN_SECONDS))
    except (av.error.FFmpegError, ValueError, OSError) as error:
        file.close()
        raise Unreadable(f"it cannot be opened as {kind}: {reason(error)}") from None


def decoding_errors() -> tuple[type[Exception], ...]:
    """What PyAV raises on a broken file."""
    import av

    return (av.error.FFmpegError, ValueError, OSError, EOFError)


def reason(error: Exception) -> str:
    """A decoder's complaint without the file's path."""
    return str(getattr(error, "strerror", None) or type(error).__name__)


def complaint(error: Exception) -> str:
    """What is wrong with a picture that Pillow cannot read: the system's own words, or that it is broken.

    Pillow's messages name no reason that a reader could act on, and sometimes the path.
    """
    return str(getattr(error, "strerror", None) or "the file is damaged or cut off").lower()


def open_picture(path: Path, settings: PerceptionSettings) -> Any:
    """A decoded RGB picture of Pillow's, upright, within the limit of pixels.

    Raises:
        Unreadable: it is broken, or has too many pixels and cannot be decoded smaller.
        MissingExtra: Pillow is not installed.
    """
    try:
        from PIL import Image, ImageOps
    except ImportError:
        raise MissingExtra("Looking at pictures", "media") from None
    before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None  # the limit is ours, below, before any decoding
    try:
        with Image.open(path, formats=("PNG", "JPEG", "GIF", "WEBP", "BMP")) as picture:
            width, height = picture.size
            if width * height > settings.largest_pixels:
                if picture.format == "JPEG":  # its blocks can be decoded at a half, a quarter or an eighth
                    scale = next((n for n in (2, 4, 8) if width * height <= settings.largest_pixels * n * n), 8)
                    picture.draft("RGB", (width // scale, height // scale))
                if picture.size[0] * picture.size[1] > settings.largest_pixels:
                    raise Unreadable(
                        f"it has {width:,} x {height:,} pixels; up to {settings.largest_pixels:,} are decoded"
                    )
            picture.load()
            return ImageOps.exif_transpose(picture).convert("RGB")
    except Unreadable:
        raise
    except Exception as error:  # Pillow's plugins raise whatever a broken file makes them raise
        raise Unreadable(f"the picture cannot be decoded: {complaint(error)}") from None
    finally:
        Image.MAX_IMAGE_PIXELS = before
