"""The grounder: which part of a clip a question is about, by a small scorer over shots and what is said in them.

Needs no torch: numpy, and the sentence encoder on onnxruntime.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from folkmoot.models.sentence_encoder import SentenceEncoder
from folkmoot.records import BadInput, Observation, Outcome, Span, text_hash
from folkmoot.students.arrays import from_arrays

GROUNDER_FILE = "grounder.npz"
TEXT_FOLDER = "text_encoder"
WORDED = ("speech", "subtitle", "ocr", "caption", "event", "sound_caption")
"""Kinds of observations whose words tell what happens in a moment."""
LONGEST_RUN = 5
"""Candidates join up to so many moments (chosen: of MELD's spans, 99 of 100 are shorter)."""
MOST_CANDIDATES = 400
MOST_HELD = 50_000
"""Vectors kept at once (chosen: 75 MB); a judge may see a million clips."""
FEATURES = (
    "likeness of the likest moment", "mean likeness", "likeness against the clip's best", "shared words",
    "share of the clip", "log of seconds", "centre", "moments", "a time named lies in it", "first named, and early",
    "last named, and late",
)  # fmt: skip


class Candidate(NamedTuple):
    """A candidate in seconds, and the moments (positions) that it holds."""

    start: float
    end: float
    moments: tuple[int, ...]


class Clip(NamedTuple):
    """What a grounder knows of one clip and one query: K candidates, their features [K, F], vectors [K, D], and the
    query's vector [D]."""

    spans: tuple[Candidate, ...]
    features: NDArray[np.float32]
    vectors: NDArray[np.float32]
    query: NDArray[np.float32]


def moments_of(observations: Sequence[Observation]) -> list[Observation]:
    """The timed observations with words, in the order of time."""
    held = [
        o
        for o in observations
        if o.kind in WORDED and o.outcome is Outcome.LABELLED and o.start_seconds is not None and o.text.strip()
    ]
    return sorted(held, key=lambda o: (o.start_seconds or 0.0, o.end_seconds or 0.0))


def candidates(observations: Sequence[Observation]) -> tuple[Candidate, ...]:
    """Runs of up to five moments, and the shots one by one and in pairs; each span once, at most 400."""
    moments = moments_of(observations)
    found: dict[tuple[float, float], Candidate] = {}

    def add(start: float, end: float) -> None:
        key = (round(start, 2), round(end, 2))
        if end > start and key not in found and len(found) < MOST_CANDIDATES:
            inside = tuple(n for n, o in enumerate(moments) if _meets(o, start, end))
            found[key] = Candidate(start, end, inside)

    for length in range(1, LONGEST_RUN + 1):
        for first in range(len(moments) - length + 1):
            run = moments[first : first + length]
            add(run[0].start_seconds or 0.0, max(_end(o) for o in run))
    shots = [(o.start_seconds, o.end_seconds) for o in observations if o.kind == "shot"]
    timed = [(start, end) for start, end in shots if start is not None and end is not None]
    for number, (start, end) in enumerate(timed):
        add(start, end)
        if number + 1 < len(timed):
            add(start, timed[number + 1][1])
    return tuple(found.values())


def _end(observation: Observation) -> float:
    start = observation.start_seconds or 0.0
    return max(observation.end_seconds if observation.end_seconds is not None else start, start + 0.1)


def _meets(observation: Observation, start: float, end: float) -> bool:
    """Whether more than half of the moment lies in the span."""
    own_start, own_end = observation.start_seconds or 0.0, _end(observation)
    return min(own_end, end) - max(own_start, start) > (own_end - own_start) / 2


def named_seconds(query: str) -> list[float]:
    """The times that a query names.

    >>> named_seconds("Why does she smile at 0:18 and after 95 seconds?")
    [18.0, 95.0]
    """
    clock = [60 * int(m) + int(s) for m, s in re.findall(r"\b(\d{1,2}):(\d{2})\b", query)]
    plain = [float(s) for s in re.findall(r"\b(\d+(?:\.\d+)?) ?(?:s|sec|seconds)\b", query)]
    return [*map(float, clock), *plain]


def words_of(text: str) -> set[str]:
    """The words of three letters and more, in lower case."""
    return {word for word in re.findall(r"\w+", text.casefold()) if len(word) > 2}


class Describer:
    """Clips -> candidates with features and vectors. Each text is encoded once."""

    def __init__(self, encoder: SentenceEncoder) -> None:
        self.encoder = encoder
        self._held: dict[str, NDArray[np.float32]] = {}

    def vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """One unit vector a text, [B, D]."""
        new = [text for text in dict.fromkeys(texts) if text_hash(text) not in self._held]
        if len(self._held) + len(new) > MOST_HELD:
            self._held = {}
            new = list(dict.fromkeys(texts))
        if new:
            for text, vector in zip(new, self.encoder.encode(new), strict=True):
                self._held[text_hash(text)] = vector
        rows = [self._held[text_hash(text)] for text in texts]
        return np.stack(rows) if rows else np.zeros((0, self.encoder.width), dtype=np.float32)

    def describe(self, query: str, observations: Sequence[Observation]) -> Clip:
        """The candidates of a clip for one query."""
        moments, spans = moments_of(observations), candidates(observations)
        texts = [o.text.strip() for o in moments]
        moment_vectors, asked = self.vectors(texts), self.vectors([query])[0]
        likeness = moment_vectors @ asked
        total = max([s.end for s in spans], default=1.0)
        wanted, times = words_of(query), named_seconds(query)
        early = bool(re.search(r"\b(first|beginning|start|initially)\b", query.casefold()))
        late = bool(re.search(r"\b(last|end|finally|eventually)\b", query.casefold()))
        best = float(likeness.max()) if len(likeness) else 0.0
        features = np.zeros((len(spans), len(FEATURES)), dtype=np.float32)
        vectors = np.zeros((len(spans), self.encoder.width), dtype=np.float32)
        for row, span in enumerate(spans):
            inside = list(span.moments)
            top = float(likeness[inside].max()) if inside else 0.0
            held = set().union(*(words_of(texts[n]) for n in inside)) if inside else set()
            centre = (span.start + span.end) / 2 / total
            features[row] = (
                top, float(likeness[inside].mean()) if inside else 0.0, top - best if inside else -1.0,
                len(wanted & held) / max(1, len(wanted)), (span.end - span.start) / total,
                math.log(max(span.end - span.start, 0.1)), centre, len(inside) / LONGEST_RUN,
                float(any(span.start <= t <= span.end for t in times)), early * (1 - centre), late * centre,
            )  # fmt: skip
            if inside:
                mean = moment_vectors[inside].mean(axis=0)
                vectors[row] = mean / max(float(np.linalg.norm(mean)), 1e-9)
        return Clip(spans, features, vectors, asked)


class SpanScorer:
    """logit = w . features + (P vector) . (Q query), with low-rank P and Q [R, D]; a `Grounder` for the panel."""

    def __init__(
        self,
        describer: Describer,
        *,
        weights: NDArray[np.float32],
        mean: NDArray[np.float32],
        std: NDArray[np.float32],
        left: NDArray[np.float32],
        right: NDArray[np.float32],
    ) -> None:
        self.describer = describer
        self.weights, self.mean, self.std, self.left, self.right = weights, mean, std, left, right

    @property
    def name(self) -> str:
        """The scorer's version and its encoder."""
        return f"span_scorer:v1 on {self.describer.encoder.name}"

    def logits(self, clip: Clip) -> NDArray[np.float32]:
        """The logit of each candidate, [K]."""
        plain = (clip.features - self.mean) / self.std @ self.weights
        return np.asarray(plain + clip.vectors @ self.left.T @ (self.right @ clip.query), dtype=np.float32)

    def ground(self, query: str, observations: Sequence[Observation]) -> Span | None:
        """The likeliest span; None where nothing in the clip has a time."""
        clip = self.describer.describe(query, observations)
        if not clip.spans:
            return None
        logits = self.logits(clip)
        shares = np.exp(logits - logits.max())
        best = int(np.argmax(logits))
        share = float(shares[best] / shares.sum())
        return Span(start=clip.spans[best].start, end=clip.spans[best].end, why=f"{share:.0%} sure")

    def save(self, folder: Path) -> None:
        """Write the scorer and a copy of its encoder: all that `load` needs."""
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(
            folder / GROUNDER_FILE, weights=self.weights, mean=self.mean, std=self.std, left=self.left, right=self.right,
            encoder=np.array(self.describer.encoder.name),
        )  # fmt: skip
        self.describer.encoder.copy_to(folder / TEXT_FOLDER)

    @classmethod
    def load(cls, folder: Path) -> SpanScorer:
        """The scorer that `save` wrote.

        Raises:
            BadInput: the folder is no grounder's, or its file is damaged.
        """
        path = folder / GROUNDER_FILE
        if not path.is_file():
            raise BadInput(f"{folder} is no grounder's folder: it has no {GROUNDER_FILE}. Make one with "
                           "'folkmoot distill --part grounder'.")  # fmt: skip
        names = ("weights", "mean", "std", "left", "right", "encoder")
        parts = from_arrays(path, lambda held: {name: held[name] for name in names}, whose="grounder")
        encoder = SentenceEncoder.from_copy(folder / TEXT_FOLDER, name=str(parts.pop("encoder")))
        return cls(Describer(encoder), **parts)


@lru_cache(maxsize=2)
def _opened(folder: str) -> SpanScorer:
    return SpanScorer.load(Path(folder))


def open_grounder(folder: str | Path) -> SpanScorer:
    """The grounder of a folder, loaded once, or of a run that left one."""
    path = Path(folder)
    return _opened(str(grounder_folder(path)))


def grounder_folder(path: Path) -> Path:
    """The folder itself, or the grounder of a run or a loop."""
    places = (path, path / "grounder", path / "grounder_run" / "grounder")
    return next((place for place in places if (place / GROUNDER_FILE).is_file()), path)
