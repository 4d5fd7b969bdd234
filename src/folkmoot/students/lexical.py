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
STRIPPED = ".,;:!?\"'()[]"
WORD_SEED, CHARACTER_SEED = zlib.crc32(b"w"), zlib.crc32(b"c")
CHUNK_TEXTS = 512
"""Texts whose n-grams are counted together. Chosen: more are no faster."""


def _crc_table() -> NDArray[np.uint32]:
    """CRC-32's table of a byte, [256], of the reversed polynomial that zlib uses."""
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(0xEDB88320), table >> 1)
    return table


CRC_TABLE = _crc_table()


def ngrams(text: str) -> tuple[list[str], list[str]]:
    """The n-grams of a normalised text: words and word pairs, and runs of 2 to 5 characters within a word's borders.

    Example:
        >>> ngrams("Go on")[0]
        ['go', 'on', 'go on']
        >>> ngrams("on")[1]
        [' o', 'on', 'n ', ' on', 'on ', ' on ']
    """
    split = text.lower().split()
    runs = []
    for word in split:
        padded = f" {word} "
        for size in CHARACTERS:
            if size > len(padded):
                break
            runs += [padded[at : at + size] for at in range(len(padded) - size + 1)]
    return word_grams(split), runs


def word_grams(split: Sequence[str]) -> list[str]:
    """A text's words without their punctuation, and the pairs of them."""
    words = [word for word in (word.strip(STRIPPED) for word in split) if word]
    return words + [f"{first} {second}" for first, second in pairwise(words)]


def hashed_counts(text: str) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """For words, then for characters: the buckets of a text's n-grams and 1 + ln(count) of each."""
    for seed, grams in zip((WORD_SEED, CHARACTER_SEED), ngrams(text), strict=True):
        counts: dict[int, int] = {}
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


def counted_together(
    texts: Sequence[str],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The n-grams of many texts, as `hashed_counts` counts them one by one, five times as fast.

    Returns:
        For each bucket that a text uses: the text's position, 0 for words or 1 for characters, the bucket, the count; in
        their order.
    """
    padded, owners, keys = [], [], []
    for position, text in enumerate(texts):
        split = text.lower().split()
        padded += [f" {word} " for word in split]
        owners += [position] * len(split)
        keys += [
            2 * position * BUCKETS + (zlib.crc32(gram.encode("utf-8", "replace"), WORD_SEED) & (BUCKETS - 1))
            for gram in word_grams(split)
        ]
    codes = np.frombuffer("".join(padded).encode("utf-32-le", "replace"), dtype=np.uint32)
    sizes = np.array([len(word) for word in padded], dtype=np.int64)
    left = np.repeat(np.cumsum(sizes), sizes) - np.arange(len(codes))  # characters from here to the word's end
    base = np.repeat((2 * np.array(owners, dtype=np.int64) + 1) * BUCKETS, sizes)
    found = [np.array(keys, dtype=np.int64)]
    starts = np.arange(len(codes))
    state = np.full(len(codes), CHARACTER_SEED ^ 0xFFFFFFFF, dtype=np.uint32)
    for size in range(1, max(CHARACTERS) + 1):
        held = left[starts] >= size
        starts = starts[held]
        state = crc_after(state[held], codes[starts + size - 1])
        if size in CHARACTERS:
            found.append(base[starts] + ((state ^ np.uint32(0xFFFFFFFF)) & np.uint32(BUCKETS - 1)))
    key, count = np.unique(np.concatenate(found), return_counts=True)
    return key // (2 * BUCKETS), key // BUCKETS % 2, key % BUCKETS, count


def crc_after(state: NDArray[np.uint32], codes: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """The states of CRC-32 once the UTF-8 bytes of a character each have followed, [N]."""
    if len(codes) == 0 or codes.max() < 0x80:
        return step(state, codes)
    size = 1 + (codes >= 0x80) + (codes >= 0x800) + (codes >= 0x10000)
    marks = np.array([0, 0, 0xC0, 0xE0, 0xF0], dtype=np.uint32)
    for place in range(4):
        shift = (6 * (size - 1 - place)).clip(0).astype(np.uint32)
        byte = marks[size] | codes >> shift if place == 0 else np.uint32(0x80) | codes >> shift & np.uint32(0x3F)
        state = np.where(size > place, step(state, byte), state)
    return state


def step(state: NDArray[np.uint32], byte: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """The states of CRC-32 after one byte more, [N]."""
    after: NDArray[np.uint32] = CRC_TABLE[(state ^ byte) & np.uint32(0xFF)] ^ (state >> np.uint32(8))
    return after


class LexicalTower:
    """A linear model over hashed n-grams. `weights` already carry the inverse frequencies' scale of training."""

    def __init__(self, weights: NDArray[np.float32], idf: NDArray[np.float32], bias: float) -> None:
        self.weights, self.idf, self.bias = weights, idf, bias

    def logits(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """The logit of the positive label for each normalised text, [B]."""
        result = np.empty(len(texts), dtype=np.float32)
        for start in range(0, len(texts), CHUNK_TEXTS):
            held = texts[start : start + CHUNK_TEXTS]
            text, kind, bucket, count = counted_together(held)
            values = (1 + np.log(count)) * self.idf[bucket]
            kinds = 2 * text + kind
            lengths = np.sqrt(np.bincount(kinds, values * values, minlength=2 * len(held)))
            shares = values / np.where(lengths > 0, lengths, 1)[kinds] * self.weights[bucket]
            result[start : start + len(held)] = np.bincount(text, shares, minlength=len(held)) + self.bias
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
