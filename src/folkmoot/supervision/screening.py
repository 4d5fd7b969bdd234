"""Which posts are worth learning from: near the validation set, balanced over labels, not twice, not in a benchmark.

Paper: "Thinking as Society" (SCPO), ICLR 2026, step 2. How the two scores are combined, and how many posts are kept, is
not published; z-scores are averaged here.
"""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from folkmoot.records import BadInput, Post, Record
from folkmoot.supervision.transport import REGULARISATION, calibrated_gradients, cosine_cost, transport, unit

CHUNK = 2048
"""Vectors compared with all others at once."""


class ScreeningSettings(Record):
    """How posts are chosen."""

    keep: int = Field(gt=0)
    balance: bool = True
    """As many of each label as there are; with too few of one, the others don't fill up."""
    nearest: int = Field(default=5, gt=0)
    """A post's similarity is its mean cosine with so many nearest validation posts."""
    similarity_weight: float = Field(default=0.5, ge=0, le=1)
    """The share of similarity in the score; the rest is transport's."""
    duplicate_above: float = Field(default=0.95, gt=0, le=1)
    """Two posts whose vectors' cosine is at least this are the same post told twice."""
    leak_above: float = Field(default=0.95, gt=0, le=1)
    regularisation: float = Field(default=REGULARISATION, gt=0)


Reason = Literal["kept", "leaks", "repeats", "label is full", "below the cut", "no text"]


class Screened(Record):
    """What became of one post. `similarity` and `gradient` are raw, `score` combined; higher score is better.

    `twin` is the kept post that it repeats, or the benchmark's post (with its file) that it leaks.
    """

    id: str
    reason: Reason
    score: float | None = None
    similarity: float | None = None
    gradient: float | None = None
    twin: str | None = None
    twin_likeness: float | None = None


class Benchmark(Record):
    """The posts of a file that training must not have seen."""

    name: str
    ids: tuple[str, ...]
    texts: tuple[str, ...]


def screen(
    posts: Sequence[Post],
    vectors: NDArray[np.floating],
    validation: NDArray[np.floating],
    settings: ScreeningSettings,
    *,
    benchmarks: Mapping[str, tuple[Benchmark, NDArray[np.floating]]] | None = None,
) -> list[Screened]:
    """What becomes of each post, in the posts' order.

    Leaks are taken out before anything is scored; then the best score first, each post is kept unless it repeats a kept
    one or its label is full.

    Args:
        vectors: [N, D], a row a post; zero where a post has no text, which keeps it out.
        validation: [M, D].
        benchmarks: by name, with their vectors.

    Raises:
        BadInput: nothing is left to choose from, or `vectors` has another number of rows.
    """
    if len(vectors) != len(posts):
        raise BadInput(f"{len(posts)} posts came with {len(vectors)} vectors")
    held = unit(vectors)
    fate: dict[int, Screened] = {}
    for row, post in enumerate(posts):
        if not post.text.strip():
            fate[row] = Screened(id=post.id, reason="no text")
    for row, (twin, likeness) in leaks(posts, held, benchmarks or {}, settings.leak_above).items():
        fate.setdefault(row, Screened(id=posts[row].id, reason="leaks", twin=twin, twin_likeness=round(likeness, 4)))
    left = [row for row in range(len(posts)) if row not in fate]
    if not left:
        raise BadInput(
            f"none of {len(posts)} posts can be learned from: {dict(Counter(f.reason for f in fate.values()))}"
        )
    cost = cosine_cost(held[left], validation)
    similarity = np.sort(1 - cost, axis=1)[:, ::-1][:, : settings.nearest].mean(1)
    gradient = calibrated_gradients(transport(cost, regularisation=settings.regularisation).train)
    share = settings.similarity_weight
    score = share * standard(similarity) - (1 - share) * standard(gradient)
    labels = sorted({str(posts[row].label) for row in left})
    quota = settings.keep // len(labels) if settings.balance else settings.keep
    kept: list[int] = []
    count: Counter[str] = Counter()
    texts: dict[str, int] = {}
    for place in np.lexsort((np.array([posts[row].id for row in left]), -score)):
        row = left[place]
        post = posts[row]
        told = {
            "id": post.id, "score": round(float(score[place]), 6), "similarity": round(float(similarity[place]), 6),
            "gradient": round(float(gradient[place]), 8),
        }  # fmt: skip
        if len(kept) >= settings.keep:
            fate[row] = Screened(reason="below the cut", **told)
            continue
        if settings.balance and count[str(post.label)] >= quota:
            fate[row] = Screened(reason="label is full", **told)
            continue
        nearest, likeness = twin_of(row, kept, held, texts, post)
        if nearest is not None and likeness >= settings.duplicate_above:
            same = posts[nearest].id
            fate[row] = Screened(reason="repeats", twin=same, twin_likeness=round(likeness, 4), **told)
            continue
        fate[row] = Screened(reason="kept", **told)
        kept.append(row)
        texts[plain(post.text)] = row
        count[str(post.label)] += 1
    return [fate[row] for row in range(len(posts))]


def twin_of(
    row: int, kept: Sequence[int], vectors: NDArray[np.float64], texts: Mapping[str, int], post: Post
) -> tuple[int | None, float]:
    """The kept post most like this one, and how like it is; the same words are 1."""
    same = texts.get(plain(post.text))
    if same is not None:
        return same, 1.0
    if not kept:
        return None, 0.0
    likeness = vectors[list(kept)] @ vectors[row]
    best = int(likeness.argmax())
    return kept[best], float(likeness[best])


def leaks(
    posts: Sequence[Post],
    vectors: NDArray[np.float64],
    benchmarks: Mapping[str, tuple[Benchmark, NDArray[np.floating]]],
    above: float,
) -> dict[int, tuple[str, float]]:
    """The rows of posts that stand in a benchmark, with the post they repeat there and how like it is.

    The same words, whatever their case, spaces, addresses and account names, or a cosine of at least `above`.
    """
    found: dict[int, tuple[str, float]] = {}
    words: dict[str, list[int]] = defaultdict(list)
    for row, post in enumerate(posts):
        words[plain(post.text)].append(row)
    for name, (benchmark, theirs) in benchmarks.items():
        for id, text in zip(benchmark.ids, benchmark.texts, strict=True):
            for row in words.get(plain(text), ()) if text.strip() else ():
                found.setdefault(row, (f"{name}: {id}", 1.0))
        other = unit(theirs)
        for start in range(0, len(posts), CHUNK):
            likeness = vectors[start : start + CHUNK] @ other.T
            best = likeness.argmax(1)
            for offset, column in enumerate(best.tolist()):
                if likeness[offset, column] >= above:
                    found.setdefault(
                        start + offset, (f"{name}: {benchmark.ids[column]}", float(likeness[offset, column]))
                    )
    return found


def plain(text: str) -> str:
    """The words of a text: no case, accents' form, account names, addresses, signs or double spaces."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    words = [word for word in folded.split() if not word.startswith(("@", "http://", "https://", "www."))]
    return " ".join("".join(c if c.isalnum() else " " for c in " ".join(words)).split())


def standard(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values with mean 0 and standard deviation 1; all 0 where nothing varies."""
    spread = float(values.std())
    return np.asarray((values - values.mean()) / spread) if spread > 0 else np.zeros_like(values)
