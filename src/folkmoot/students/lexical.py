"""The lexical tower: hashed word and character n-grams and one weight each. Needs numpy alone."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from folkmoot.students.arrays import Arrays, from_arrays

LEXICAL_FILE = "lexical.npz"
BUCKETS = 1 << 18
"""Hash buckets; at 8,000 tweets about 150,000 n-grams are alive, so few share one. Chosen."""
CHARACTERS = (2, 3, 4, 5)


def ngrams(text: str) -> tuple[list[str], list[str]]:
    """The n-grams of a normalised text: words and word pairs, and runs of 2 to 5 characters within a word's borders.

    Example:
        >>> ngrams("Go on")[0]
        ['go', 'on', 'go on']
        >>> ngrams("on")[1]
        [' o', 'on', 'n ', ' on', 'on ', ' on ']
    """
    words = [word.strip(".,;:!?\"'()[]") for word in text.lower().split()]
    words = [word for word in words if word]
    pairs = [f"{first} {second}" for first, second in pairwise(words)]
    runs = []
    for word in text.lower().split():
        padded = f" {word} "
        for size in CHARACTERS:
            if size > len(padded):
                break
            runs += [padded[at : at + size] for at in range(len(padded) - size + 1)]
    return words + pairs, runs


def hashed_counts(text: str) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """For words, then for characters: the buckets of a text's n-grams and 1 + ln(count) of each."""
    for kind, grams in zip((b"w", b"c"), ngrams(text), strict=True):
        counts: dict[int, int] = {}
        seed = zlib.crc32(kind)
        for gram in grams:
            bucket = zlib.crc32(gram.encode("utf-8", "replace"), seed) & (BUCKETS - 1)
            counts[bucket] = counts.get(bucket, 0) + 1
        buckets = np.fromiter(counts.keys(), dtype=np.int64, count=len(counts))
        yield (
            buckets,
            (1 + np.log(np.fromiter(counts.values(), dtype=np.float32, count=len(counts)))).astype(np.float32),
        )


def inverse_frequencies(texts: Sequence[str]) -> NDArray[np.float32]:
    """ln((1 + N) / (1 + n)) + 1 for each bucket, over N texts of which n use it; 0 for a bucket seen fewer than twice."""
    seen = np.zeros(BUCKETS, dtype=np.int64)
    for text in texts:
        for buckets, _ in hashed_counts(text):
            seen[buckets] += 1
    weights = np.log((1 + len(texts)) / (1 + seen)) + 1
    return np.where(seen >= 2, weights, 0).astype(np.float32)


def lexical_features(text: str, idf: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """A text's buckets and values; words and characters are each scaled to length 1."""
    all_buckets, all_values = [], []
    for buckets, counts in hashed_counts(text):
        values = counts * idf[buckets]
        length = float(np.sqrt((values * values).sum()))
        if length > 0:
            values = values / length
        all_buckets.append(buckets)
        all_values.append(values)
    return np.concatenate(all_buckets), np.concatenate(all_values)


class LexicalTower:
    """A linear model over hashed n-grams. `weights` already carry the inverse frequencies' scale of training."""

    def __init__(self, weights: NDArray[np.float32], idf: NDArray[np.float32], bias: float) -> None:
        self.weights, self.idf, self.bias = weights, idf, bias

    def logits(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """The logit of the positive label for each normalised text, [B]."""
        result = np.empty(len(texts), dtype=np.float32)
        for position, text in enumerate(texts):
            buckets, values = lexical_features(text, self.idf)
            result[position] = np.dot(self.weights[buckets], values) + self.bias
        return result

    def save(self, folder: Path) -> None:
        """Write `lexical.npz`, only the buckets that are in use."""
        used = np.flatnonzero(self.idf)
        np.savez_compressed(
            folder / LEXICAL_FILE, used=used, weights=self.weights[used], idf=self.idf[used], bias=np.float32(self.bias)
        )

    @classmethod
    def load(cls, folder: Path) -> LexicalTower:
        """The tower that `save` wrote.

        Raises:
            BadInput: the file is missing or damaged.
        """

        def build(held: Arrays) -> LexicalTower:
            weights, idf = (np.zeros(BUCKETS, dtype=np.float32) for _ in range(2))
            weights[held["used"]], idf[held["used"]] = held["weights"], held["idf"]
            return cls(weights, idf, float(held["bias"]))

        return from_arrays(folder / LEXICAL_FILE, build)
