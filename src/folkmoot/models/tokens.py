"""Texts as token ids, the same way in training and in serving, with the `tokenizers` library alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from folkmoot.records import BadInput, MissingExtra

TOKENIZER_FILE = "tokenizer.json"

TokenIds = list[list[int]]


def load_tokenizer(folder: Path, *, max_tokens: int) -> Any:
    """The tokenizer of a student's folder, cutting texts at `max_tokens` (the special tokens included).

    Raises:
        MissingExtra: the `tokenizers` library is not installed.
        BadInput: the folder has no tokenizer.
    """
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise MissingExtra("Running a student", "serve") from None
    path = Path(folder) / TOKENIZER_FILE
    if not path.exists():
        raise BadInput(f"{folder} has no {TOKENIZER_FILE}; copy it from the encoder that the student was made from")
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.enable_truncation(max_length=max_tokens)
    tokenizer.no_padding()
    return tokenizer


def encode_texts(tokenizer: Any, texts: Sequence[str]) -> TokenIds:
    """Each text's token ids."""
    return [encoding.ids for encoding in tokenizer.encode_batch_fast(list(texts))]


def batches_by_length(lengths: Sequence[int], size: int) -> Iterator[list[int]]:
    """Positions in batches of at most `size`, shortest first, so that little is spent on padding."""
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    for start in range(0, len(order), size):
        yield order[start : start + size]


def equal_lengths(ids: TokenIds, size: int) -> Iterator[list[int]]:
    """Positions in batches of at most `size` whose texts have equally many tokens, the longest first."""
    by_length: dict[int, list[int]] = {}
    for position, row in enumerate(ids):
        by_length.setdefault(len(row), []).append(position)
    for length in sorted(by_length, reverse=True):
        held = by_length[length]
        yield from (held[start : start + size] for start in range(0, len(held), size))


def feed(row: Sequence[int]) -> dict[str, NDArray[np.int64]]:
    """One text's token ids as the input of an ONNX encoder, [1, T] each."""
    tokens, mask = pad([row])
    return {"input_ids": tokens, "attention_mask": mask}


def pad(ids: Sequence[Sequence[int]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Token ids and attention mask, both [B, T], zero-padded on the right to the longest text."""
    width = max((len(row) for row in ids), default=1)
    tokens = np.zeros((len(ids), max(width, 1)), dtype=np.int64)
    mask = np.zeros_like(tokens)
    for position, row in enumerate(ids):
        tokens[position, : len(row)] = row
        mask[position, : len(row)] = 1
    return tokens, mask
