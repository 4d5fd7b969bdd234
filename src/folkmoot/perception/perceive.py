"""`perceive`: one medium -> everything that is seen, heard and read in it, each piece with its place and its tool.

A part that is missing or broken is an observation with the outcome that says so; the others go on without it. Results
are kept by the hash of the file and of the settings and tools, so the same clip is looked at once.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Iterable
from pathlib import Path

from folkmoot.models.weights import cache_folder
from folkmoot.perception import events, faces, frames, hashes, hearing, provenance, reading
from folkmoot.perception.medium import Unreadable, check, open_container, open_picture
from folkmoot.perception.scan import Scan, scan
from folkmoot.perception.settings import PerceptionSettings
from folkmoot.records import Media, MissingExtra, Observation, Outcome, Post, Record, text_hash
from folkmoot.runs.atomic import write_atomically
from folkmoot.runs.manifest import input_hash

PERCEIVED = 2
"""Raised when the same file would be described otherwise, so that no old result is taken for a new one."""


class _Kept(Record):
    """What the cache holds."""

    observations: tuple[Observation, ...]


def perceive(
    medium: Media, settings: PerceptionSettings = PerceptionSettings(), *, cache: Path | None = None
) -> tuple[Observation, ...]:
    """The observations of a medium, by kind and time; never an exception for what is wrong with the file.

    Args:
        cache: the folder of kept results; `perception` in `cache_folder()` by default.

    Raises:
        MissingExtra, BadInput: a tool or its weights are not installed.
    """
    path = Path(medium.path)
    try:
        kind = check(medium, settings)
    except Unreadable as error:
        return (_missing("media", medium, f"Reading {path.name}: {error}."),)
    folder = cache or cache_folder() / "perception"
    key = text_hash(f"{input_hash(path, path.name)}\n{settings.hash}\n{tools(settings)}")
    kept = folder / key[:2] / f"{key}.json"
    if kept.is_file():
        observations = _Kept.from_line(kept.read_bytes()).observations
    else:
        look = {"image": _picture, "video": _video, "audio": _sound_only}[kind.split("/")[0]]
        observations = tuple(look(path, kind, settings))
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(kept, _Kept(observations=observations).to_line())
    name = path.name
    found = [observation.model_copy(update={"media": name}) for observation in observations]
    if kind.split("/")[0] != medium.type:
        found.insert(
            0, _missing("media", medium, f"{name} is called '{medium.type}' and is {kind}; it was looked at as that.")
        )
    return tuple(found)


def perceive_post(
    post: Post, settings: PerceptionSettings = PerceptionSettings(), *, cache: Path | None = None
) -> tuple[Observation, ...]:
    """The observations of all media of a post, one medium after the other."""
    return tuple(observation for medium in post.media for observation in perceive(medium, settings, cache=cache))


def tools(settings: PerceptionSettings) -> str:
    """The tools that the settings call for, with their versions: part of a kept result's identity.

    Raises:
        MissingExtra, BadInput: one is not installed.
    """
    named = [f"perceived {PERCEIVED}", events.TOOL, av_name()]
    if settings.ocr:
        named.append(reading.ocr_name())
    if settings.speech:
        named.append(hearing.speech_name())
    if settings.faces:
        named.append(faces.faces_name())
    if settings.hashes:
        named.append(hashes.hash_name())
    return "\n".join(named)


def av_name() -> str:
    """PyAV and its version."""
    try:
        return f"pyav {importlib.metadata.version('av')}"
    except importlib.metadata.PackageNotFoundError:
        raise MissingExtra("Looking at video and sound", "media") from None


def _missing(kind: str, medium: Media, text: str) -> Observation:
    return Observation(
        kind=kind, text=text, outcome=Outcome.MEDIA_MISSING, media=Path(medium.path).name, tool="folkmoot perceive"
    )


def _part(kind: str, tool: str, look: Callable[[], Iterable[Observation]]) -> list[Observation]:
    """What a part of the work sees, or the one observation that says why it saw nothing."""
    try:
        return list(look())
    except Unreadable as error:
        return [Observation(kind=kind, text=f"{error}.", tool=tool, outcome=Outcome.MEDIA_MISSING)]


# ---------------------------------------------------------------------------------------------- pictures


def _picture(path: Path, kind: str, settings: PerceptionSettings) -> list[Observation]:
    found: list[Observation] = []
    if settings.provenance:
        found.append(provenance.content_credentials(path, kind))
        found += provenance.picture_metadata(path)
    try:
        picture = open_picture(path, settings)
    except Unreadable as error:
        return [*found, Observation(kind="frame", text=f"{error}.", tool="pillow", outcome=Outcome.MEDIA_MISSING)]
    import numpy as np

    pixels = np.asarray(picture)
    height, width = pixels.shape[:2]
    found.append(
        Observation(kind="frame", text=f"A picture of {width} x {height} pixels.", tool="pillow",
                    detail={"width": width, "height": height})
    )  # fmt: skip
    if settings.hashes:
        found += [_hash_observation(hashed) for hashed in hashes.picture_hashes(pixels)]
    if settings.ocr:
        found += [
            Observation(kind="ocr", text=line.text, box=line.box, confidence=line.confidence, tool=reading.ocr_name())
            for line in reading.read_text(pixels, confidence=settings.ocr_confidence)
        ]
    if settings.faces:
        seen = faces.find_faces(pixels)
        found.append(_faces_observation([face.box for face in seen]))
    return found


def _faces_observation(boxes: list[tuple[float, float, float, float]], seconds: float | None = None) -> Observation:
    count = len(boxes)
    text = "No frontal face." if count == 0 else "One frontal face." if count == 1 else f"{count} frontal faces."
    return Observation(
        kind="faces", text=text, start_seconds=seconds, end_seconds=seconds, tool=faces.faces_name(),
        detail={"count": count, "boxes": boxes},
    )  # fmt: skip


def _hash_observation(hashed: hashes.PerceptualHash, seconds: float | None = None) -> Observation:
    return Observation(
        kind="hash", text=f"PDQ of the {hashed.region} picture", start_seconds=seconds, end_seconds=seconds,
        tool=hashes.hash_name(), detail={"pdq": hashed.hex, "quality": hashed.quality, "region": hashed.region},
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------- video


def _video(path: Path, kind: str, settings: PerceptionSettings) -> list[Observation]:
    try:
        with open_container(path, kind) as container:
            about = provenance.container_metadata(container, tool=av_name())
            pictures, sounds = bool(container.streams.video), bool(container.streams.audio)
            subtitles = any(stream.type == "subtitle" for stream in container.streams)
    except Unreadable as error:
        return [Observation(kind="container", text=f"{error}.", tool=av_name(), outcome=Outcome.MEDIA_MISSING)]
    found = [about]
    if settings.provenance:
        found.append(provenance.content_credentials(path, kind))
    duration = float(about.detail.get("duration") or 0.0)
    if duration > settings.scan_seconds:
        found.append(
            Observation(
                kind="limit", tool="folkmoot perceive", start_seconds=settings.scan_seconds, end_seconds=duration,
                text=f"Only the first {settings.scan_seconds:.0f} of {duration:.0f} s were watched and heard through; "
                     "frames come from all of it.",
            )
        )  # fmt: skip
    seen: Scan | None = None
    texts: tuple[reading.OnScreen, ...] = ()
    if not pictures:
        found.append(Observation(kind="frame", text="There is no video track.", tool=av_name(),
                                 outcome=Outcome.MEDIA_MISSING))  # fmt: skip
    else:
        groups = frames.candidate_seconds(duration, frames=settings.frames, choice=settings.frame_choice)
        wanted = [t for group in groups for t in group] if 0 < duration <= settings.scan_seconds else []
        try:
            seen = scan(
                path,
                kind,
                seconds=settings.scan_seconds,
                text_frames=settings.ocr_frames,
                shots=settings.shots,
                wanted=wanted,
            )
        except Unreadable as error:
            found.append(Observation(kind="shot", text=f"{error}.", tool=av_name(), outcome=Outcome.MEDIA_MISSING))
        if seen is not None:
            duration = duration or seen.watched_seconds
            found += _watched(seen)
            if settings.ocr:
                texts = reading.merge(
                    [
                        (frame, reading.read_text(frame.pixels, confidence=settings.ocr_confidence))
                        for frame in seen.text_frames
                    ],
                    end_seconds=seen.watched_seconds,
                )
                found += _read(seen, texts)
        wanted_frames = seen.wanted_frames if seen is not None else ()
        found += _part("frame", av_name(), lambda: _shown(path, kind, duration, settings, wanted_frames))
    if subtitles:
        found += _part("subtitle", av_name(), lambda: _subtitles(path, kind, settings))
    samples = None
    if sounds and (settings.speech or settings.sound):
        heard, samples = _heard(path, kind, settings)
        found += heard
    elif not sounds:
        found.append(Observation(kind="speech", text="There is no audio track.", tool=av_name(),
                                 outcome=Outcome.MEDIA_MISSING))  # fmt: skip
    if settings.events:
        if seen is not None:
            found += events.motion_bursts(seen.seconds, seen.motion, seen.shots)
            found += events.short_shots(seen.shots)
        found += events.flashing_text(texts)
        if samples is not None:
            found += events.loud_moments(samples)
    return found


def _watched(seen: Scan) -> list[Observation]:
    found = [
        Observation(kind="shot", text=f"Shot {number} of {len(seen.shots)}.", start_seconds=shot.start_seconds,
                    end_seconds=shot.end_seconds, tool=f"scenedetect {importlib.metadata.version('scenedetect')}")
        for number, shot in enumerate(seen.shots, 1)
    ]  # fmt: skip
    if seen.problem is not None:
        found.append(
            Observation(kind="shot", text=f"The video breaks off: {seen.problem}.", start_seconds=seen.watched_seconds,
                        tool=av_name(), outcome=Outcome.MEDIA_MISSING)
        )  # fmt: skip
    return found


def _read(seen: Scan, texts: tuple[reading.OnScreen, ...]) -> list[Observation]:
    found = [
        Observation(
            kind="ocr", text=text.text, start_seconds=text.start_seconds, end_seconds=text.end_seconds, box=text.box,
            confidence=text.confidence, tool=reading.ocr_name(), detail={"readings": text.readings},
        )
        for text in texts
    ]  # fmt: skip
    if seen.text_samples > len(seen.text_frames):
        found.append(
            Observation(
                kind="limit", tool=reading.ocr_name(),
                text=f"Text was read in {len(seen.text_frames)} of {seen.text_samples} frames that may have new text.",
            )
        )  # fmt: skip
    return found


def _shown(
    path: Path, kind: str, duration: float, settings: PerceptionSettings, seen: tuple[frames.Frame, ...]
) -> list[Observation]:
    if duration <= 0:
        raise Unreadable("the video has no length")
    found: list[Observation] = []
    for frame in frames.choose_frames(
        path, kind, duration=duration, frames=settings.frames, choice=settings.frame_choice, seen=seen
    ):
        height, width = frame.pixels.shape[:2]
        found.append(
            Observation(
                kind="frame", text=f"A frame of {width} x {height} pixels.", start_seconds=frame.seconds,
                end_seconds=frame.seconds, tool=f"folkmoot frames {settings.frame_choice}",
                confidence=round(frame.quality, 3), detail={"width": width, "height": height},
            )
        )  # fmt: skip
        if settings.faces:
            found.append(_faces_observation([face.box for face in faces.find_faces(frame.pixels)], frame.seconds))
        if settings.hashes:
            found.append(_hash_observation(hashes.pdq(frame.pixels), frame.seconds))
    return found


def _subtitles(path: Path, kind: str, settings: PerceptionSettings) -> list[Observation]:
    """The words of the first subtitle track."""
    from folkmoot.perception.medium import decoding_errors

    found: list[Observation] = []
    with open_container(path, kind) as container:
        stream = container.streams.subtitles[0]
        try:
            for packet in container.demux(stream):
                if packet.pts is None or packet.duration is None:
                    continue
                start = float(packet.pts * stream.time_base)
                if start > settings.scan_seconds:
                    break
                words = " ".join(part for item in packet.decode() for part in [subtitle_text(item)] if part).strip()
                if words:
                    found.append(
                        Observation(
                            kind="subtitle", text=words, start_seconds=round(start, 2), tool=av_name(),
                            end_seconds=round(start + float(packet.duration * stream.time_base), 2),
                        )
                    )  # fmt: skip
        except decoding_errors() as error:
            raise Unreadable(f"its subtitles cannot be decoded: {type(error).__name__}") from None
    return found


def subtitle_text(item: object) -> str:
    """A decoded subtitle's words, without ASS fields and styles."""
    import re

    raw = getattr(item, "dialogue", None) or getattr(item, "text", None) or getattr(item, "ass", b"")
    text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else str(raw)
    return re.sub(r"\{[^}]*\}", "", text).replace("\\N", " ").replace("\\n", " ").strip()


# ------------------------------------------------------------------------------------------------- sound


def _sound_only(path: Path, kind: str, settings: PerceptionSettings) -> list[Observation]:
    try:
        with open_container(path, kind) as container:
            about = provenance.container_metadata(container, tool=av_name())
    except Unreadable as error:
        return [Observation(kind="container", text=f"{error}.", tool=av_name(), outcome=Outcome.MEDIA_MISSING)]
    found = [about]
    duration = float(about.detail.get("duration") or 0.0)
    if duration > settings.scan_seconds:
        found.append(
            Observation(kind="limit", tool="folkmoot perceive", start_seconds=settings.scan_seconds, end_seconds=duration,
                        text=f"Only the first {settings.scan_seconds:.0f} of {duration:.0f} s were heard.")
        )  # fmt: skip
    heard, samples = _heard(path, kind, settings)
    found += heard
    if settings.events and samples is not None:
        found += events.loud_moments(samples)
    return found


def _heard(path: Path, kind: str, settings: PerceptionSettings) -> tuple[list[Observation], hearing.Samples | None]:
    try:
        sound = hearing.read_sound(path, kind, seconds=settings.scan_seconds)
    except Unreadable as error:
        return [Observation(kind="speech", text=f"{error}.", tool=av_name(), outcome=Outcome.MEDIA_MISSING)], None
    found: list[Observation] = []
    if settings.sound:
        for stretch in hearing.stretches(sound.samples):
            called = {
                "silence": "Silence",
                "speech_like": "Sound like speech",
                "music_like": "Sound like music or noise",
            }
            found.append(
                Observation(
                    kind="sound", text=f"{called[stretch.kind]}, {stretch.dbfs:.0f} dB of full scale.",
                    start_seconds=stretch.start_seconds, end_seconds=stretch.end_seconds, tool="folkmoot sound v1",
                    detail={"kind": stretch.kind, "dbfs": stretch.dbfs},
                )
            )  # fmt: skip
    if settings.speech:
        segments, language, sure = hearing.write_down(sound, language=settings.language)
        found += [
            Observation(
                kind="speech", text=segment.text, start_seconds=segment.start_seconds, end_seconds=segment.end_seconds,
                confidence=segment.confidence, tool=hearing.speech_name(),
                detail={"language": language, "language_confidence": sure, "words": [list(word) for word in segment.words]},
            )
            for segment in segments
        ]  # fmt: skip
        if not segments:
            found.append(
                Observation(kind="speech", text="Nobody is heard to speak.", tool=hearing.speech_name(),
                            outcome=Outcome.ABSTAINED)
            )  # fmt: skip
    if sound.problem is not None:
        found.append(
            Observation(kind="speech", text=f"The sound breaks off: {sound.problem}.", tool=av_name(),
                        start_seconds=round(sound.samples.size / hearing.RATE_HZ, 2), outcome=Outcome.MEDIA_MISSING)
        )  # fmt: skip
    return found, sound.samples
