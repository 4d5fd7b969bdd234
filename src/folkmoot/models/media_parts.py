"""Pictures, clips and sounds as content parts of a message, in the OpenAI convention."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from folkmoot.records import FolkmootError, Media, bytes_hash

LARGEST_FILE_BYTES = 64 << 20
"""Larger files do not go into a request (chosen: endpoints refuse far smaller ones)."""

AUDIO_FORMATS = {"audio/wav": "wav", "audio/mpeg": "mp3", "audio/flac": "flac", "audio/ogg": "ogg"}


class MediaMissing(FolkmootError):
    """A post's medium cannot be shown to a model. Judges turn it into the outcome `media_missing`."""


def media_parts(media: Iterable[Media]) -> list[dict[str, Any]]:
    """One content part a medium: `image_url` and `video_url` with a base64 data URL, `input_audio` with base64.

    Raises:
        MediaMissing: a file is missing, unreadable, too large, not what the post says it is, or was exchanged.
    """
    return [media_part(medium) for medium in media]


def media_part(medium: Media) -> dict[str, Any]:
    """The content part of one medium; see `media_parts`."""
    path = Path(medium.path)
    try:
        size = path.stat().st_size
        if size > LARGEST_FILE_BYTES:
            raise MediaMissing(f"Reading {path} for a model: it has {size:,} bytes; up to {LARGEST_FILE_BYTES:,} are "
                               "accepted. Store a smaller copy.")  # fmt: skip
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no valid path"
        raise MediaMissing(f"Reading {path} for a model failed: {reason}. Media paths are relative to the posts' file."
                           ) from error  # fmt: skip
    if medium.sha256 is not None and bytes_hash(content) != medium.sha256:
        raise MediaMissing(f"Reading {path} for a model: its SHA-256 is not the one that the post names. Put the "
                           "right file there or take the hash out of the post.")  # fmt: skip
    kind = sniffed_type(content)
    if kind is None or kind.split("/")[0] != medium.type:
        raise MediaMissing(f"Reading {path} for a model: it is {kind or 'of no known type'}, the post says "
                           f"'{medium.type}'. Accepted: PNG, JPEG, GIF, WebP, BMP; MP4, WebM; WAV, MP3, FLAC, Ogg."
                           )  # fmt: skip
    encoded = base64.b64encode(content).decode("ascii")
    if medium.type == "audio":
        return {"type": "input_audio", "input_audio": {"data": encoded, "format": AUDIO_FORMATS[kind]}}
    part = f"{medium.type}_url"
    return {"type": part, part: {"url": f"data:{kind};base64,{encoded}"}}


def sniffed_type(content: bytes) -> str | None:
    """The media type that the first bytes show, whatever the file is called; None for an unknown one."""
    head = content[:16]
    for magic, kind in (
        (b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif"),
        (b"BM", "image/bmp"), (b"\x1aE\xdf\xa3", "video/webm"), (b"fLaC", "audio/flac"), (b"OggS", "audio/ogg"),
        (b"ID3", "audio/mpeg"), (b"\xff\xfb", "audio/mpeg"), (b"\xff\xf3", "audio/mpeg"), (b"\xff\xf2", "audio/mpeg"),
    ):  # fmt: skip
        if head.startswith(magic):
            return kind
    if head[4:8] == b"ftyp":
        return "video/mp4"
    if head[:4] == b"RIFF":
        return {b"WEBP": "image/webp", b"WAVE": "audio/wav"}.get(head[8:12])
    return None
